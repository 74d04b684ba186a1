"""`relume audit`: says who seems to be in a dataset's pictures, and how sure that is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from workflows.audit_dataset import agree, audit_one, gather_shards, planned_shards
from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console, counted
from workflows.fetch import face_settings
from workflows.workers import WorkerArguments

if TYPE_CHECKING:
    from schemas.audit import AuditSettings
    from workflows.audit_report import Asked

AGAINST = "against"
_OF_DEEPFACE = ("detector", "engine", "weights", "min_confidence", "batch_size", "threads")


@dataclass(frozen=True, kw_only=True)
class Arguments(WorkerArguments):
    """Look at every picture of a dataset, or continue; then tables and figures of all that is seen.

    Every word about people is a classifier's perception of a synthetic picture.
    """

    dataset: tyro.conf.Positional[Path]
    """folder of the dataset"""
    out: Path
    """folder of the audit"""
    against: Path | None = None
    """another dataset to compare it with, the paper's baseline, audited in OUT/against"""
    analyser: Literal["deepface", "truth"] = "deepface"
    """DeepFace's models, or the painter's truth of procedural portraits"""
    detector: str = "retinaface"
    """what looks for faces: retinaface, opencv, yunet and DeepFace's others"""
    engine: Literal["onnx", "pytorch"] = "onnx"
    """what runs DeepFace's models"""
    weights: Path | None = None
    """folder that holds .deepface/weights; without it DEEPFACE_HOME, or else the home folder"""
    min_confidence: float = 0.0
    """a largest face below this is low_confidence"""
    batch_size: int = 16
    """faces whose attributes are predicted at once"""
    threads: int = 1
    """threads of the processor for each worker"""
    lpips: Literal["vgg", "alex"] | None = None
    """also tell how far each target is from its source, by this LPIPS"""
    lpips_weights: Path = Path("weights")
    """folder of LPIPS' published weights"""
    selection: Path | None = None
    """tables and figures of the samples alone that relume curate chose of DATASET, in
    OUT/selected/NAME; OUT keeps those of all"""
    target: Path | None = None
    """TOML file of shares to compare with, a table for gender, age or ethnicity"""
    matrices: Path | None = None
    """TOML file of your own confusion matrices: the headline's, before the bundled ones"""
    duplicates: Annotated[bool, tyro.conf.arg(help="look for near-duplicates, in minutes")] = False
    report_only: Annotated[bool, tyro.conf.arg(help="tables and figures of what is there")] = False


def main(argv: list[str]) -> int:
    """Audit a dataset."""
    arguments = parse(Arguments, "audit", argv)
    arguments.check(arguments.dataset, arguments.out, arguments.against)
    _check(arguments)
    from workflows.audit_report import report

    console, settings, asked = Console(), _settings(arguments), _asked(arguments)
    roots = {arguments.dataset: arguments.out}
    if arguments.against is not None:
        roots[arguments.against] = arguments.out / AGAINST
    # Of both, before hours go into the first.
    records = {dataset: agree(settings, dataset, root, console) for dataset, root in roots.items()}
    whole = True
    for dataset, root in roots.items():
        look = not arguments.report_only
        whole &= audit_one(arguments, records[dataset], dataset, root, console, look=look)
    if arguments.part == "1/1" or _last_of_the_parts(roots, console):
        report(arguments.out, roots, asked, console)
    return DONE if whole else INCOMPLETE


def _asked(arguments: Arguments) -> Asked:
    from metrics.targets import SEPARATOR
    from tasks.audit.settings import read_matrices, read_target
    from tasks.selection_file import read_selection, selected_ids
    from workflows.audit_report import Asked

    target = None if arguments.target is None else read_target(arguments.target)
    combined = [name for name in target or {} if SEPARATOR in name]
    if combined:
        raise ValueError(
            f"--target {arguments.target}: {combined[0]}: an audit compares with shares of each "
            "attribute by itself; combinations are for relume curate"
        )
    selection = None
    if arguments.selection is not None:
        chosen = read_selection(arguments.selection, arguments.dataset)
        selection = arguments.selection, selected_ids(chosen)
    return Asked(
        target=target,
        matrices={} if arguments.matrices is None else read_matrices(arguments.matrices),
        duplicates=arguments.duplicates,
        selection=selection,
    )


def _check(arguments: Arguments) -> None:
    if arguments.analyser == "truth":
        for one in dataclasses.fields(Arguments):
            if one.name in _OF_DEEPFACE and getattr(arguments, one.name) != one.default:
                raise ValueError(
                    f"--{one.name.replace('_', '-')}: is of DeepFace's models, and "
                    "--analyser truth reads what the painter drew; leave it out"
                )
    datasets = [one for one in (arguments.dataset, arguments.against) if one is not None]
    compared = arguments.out / AGAINST
    if arguments.against is None and (compared / "audit.json").exists():
        raise ValueError(
            f"{compared}: the report in {arguments.out} compares with what lies there; give the "
            "same --against again, or remove that folder to report without it"
        )
    if arguments.against is not None and arguments.against.resolve() == arguments.dataset.resolve():
        raise ValueError(f"--against {arguments.against}: is the dataset itself; name another one")
    for dataset in datasets:
        if arguments.out.resolve().is_relative_to(dataset.resolve()):
            raise ValueError(f"--out {arguments.out}: lies in {dataset}; choose a place outside")


def _settings(arguments: Arguments) -> AuditSettings:
    """The options as settings; a ValueError lists every mistake in them."""
    from schemas.audit import AuditSettings
    from schemas.settings import as_plain, resolve

    analyser: dict[str, object] = {"kind": arguments.analyser}
    if arguments.analyser == "deepface":
        models = face_settings(arguments.detector, arguments.engine, arguments.weights)
        analyser = as_plain(models) | {
            "min_confidence": arguments.min_confidence,
            "batch_size": arguments.batch_size,
            "threads": arguments.threads,
        }
    tables = {
        "analyser": analyser,
        "lpips": arguments.lpips,
        "lpips_weights": str(arguments.lpips_weights.absolute()),
    }
    return resolve(AuditSettings, tables, "relume audit")


def _last_of_the_parts(roots: Mapping[Path, Path], console: Console) -> bool:
    """Whether the other parts have audited all that is theirs, so that this one reports.

    Parts that end at once may both be the last, and then write the same report.
    """
    from shards.publish import published

    planned = {root: planned_shards(dataset) for dataset, root in roots.items()}
    done = {root: published(root, shards) for root, shards in planned.items()}
    missing = sum(len(shards) - len(done[root]) for root, shards in planned.items())
    if missing:
        console.note(
            f"{counted(missing, 'shard')} not audited yet, so there is no report: the part that "
            "ends last makes it; where some stay missing, --report-only without --part does"
        )
        return False
    for root, shards in planned.items():
        gather_shards(root, shards)  # another part may not have come to it yet
    return True


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
