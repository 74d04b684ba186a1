"""`relume fetch`: brings the models of a preset here, before nodes without internet need them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from workflows.cli import DONE, parse, run_verb
from workflows.console import Console, size


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Download the models of a preset into the hub's cache: run it once, on a login node.

    No other verb opens a connection to the outside. HF_HOME says where the cache lies, HF_TOKEN
    opens models whose licence you have accepted.
    """

    config: tyro.conf.Positional[Path]
    """preset, for example configs/paper.toml"""


def main(argv: list[str]) -> int:
    """Fetch the models of a preset."""
    arguments: Arguments = parse(Arguments, "fetch", argv)

    from models.generators.diffusers_pair.fetching import fetch_model
    from schemas.config import read_preset

    console = Console()
    preset = read_preset(arguments.config)
    if preset.generator.kind == "procedural":
        console.result(f"{arguments.config}: its painter needs no model")
        return DONE
    wanted = sorted({(stage.model, stage.revision) for stage in preset.stage.values()})
    for model, revision in wanted:
        if Path(model).is_dir():
            console.result(f"{model}: is a folder, nothing to fetch")
            continue
        console.note(f"fetching {model}, revision {revision}")
        got = fetch_model(model, revision)
        console.result(f"{got.model}: {size(got.bytes)} in {got.folder}")
        if revision != got.commit:
            console.note(f'pin it with: revision = "{got.commit}"')
    return DONE


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
