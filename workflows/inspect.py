"""`relume inspect`: what is in a dataset, whether it is sound, and single samples out of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console, size

if TYPE_CHECKING:
    from shards.verify import Problem


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Say what is in a dataset; with --verify, read everything and compare it."""

    dataset: tyro.conf.Positional[Path]
    """folder of the dataset"""
    verify: Annotated[bool, tyro.conf.arg(help="check every file, picture and row")] = False
    sample: str | None = None
    """id of a sample whose pictures and row are written to --out"""
    failed: Annotated[bool, tyro.conf.arg(help="list the samples that failed, and why")] = False
    sheet: Path | None = None
    """write a contact sheet of some samples to this PNG file"""
    out: Path = Path()
    """folder for the pictures and the row of --sample"""
    json: Annotated[bool, tyro.conf.arg(help="print the result as JSON")] = False


def main(argv: list[str]) -> int:
    """Inspect a dataset."""
    arguments = parse(Arguments, "inspect", argv)
    codes = []
    if arguments.sample is not None:
        codes.append(_sample(arguments, arguments.sample))
    if arguments.sheet is not None:
        codes.append(_sheet(arguments, arguments.sheet))
    if arguments.failed:
        codes.append(_failed(arguments))
    if arguments.verify or not codes:
        codes.append(_summary(arguments))
    return max(codes)


def _summary(arguments: Arguments) -> int:
    from shards.summary import summary

    told = summary(arguments.dataset)
    console = Console()
    problems = _verify(arguments.dataset, console) if arguments.verify else None
    if arguments.json:
        if problems is not None:
            told["problems"] = [asdict(problem) for problem in problems]
        console.result(json.dumps(told, ensure_ascii=False))
    else:
        _tell(console, told)
        if problems is not None:
            _tell_problems(console, problems)
    sound = told["complete"] and not told["failed"] and not problems
    return DONE if sound else INCOMPLETE


def _verify(dataset: Path, console: Console) -> list[Problem]:
    from shards.verify import Checked, verify

    with console.progress("verifying", "shards") as advance:

        def told(checked: Checked) -> None:
            advance(checked.shards, checked.of)

        return list(verify(dataset, told))


def _tell(console: Console, told: dict[str, Any]) -> None:
    state = "complete" if told["complete"] else "incomplete"
    console.heading(f"{told['dataset']}: {told['name']}, {state}")
    facts = {
        "prompt": told["prompt"],
        "samples": f"{told['ok']:,} of {told['planned']:,} planned, {told['failed']:,} failed",
        "pictures": f"{told['size_px']} x {told['size_px']} px, {' and '.join(told['stages'])}",
        "size": f"{size(told['bytes'])}"
        + (f", {size(told['bytes'] / told['ok'])} a sample" if told["ok"] else ""),
    }
    if told["given_up"]:
        facts["given up"] = f"{len(told['given_up'])} shards, for example {told['given_up'][0]}"
    if told["set_aside"]:
        facts["set aside"] = f"{told['set_aside']} times, see quarantine/"
    if told["writers"]:
        facts["written by"] = "; ".join(told["writers"])
    console.facts(facts)
    console.result()
    console.table(
        ("split", "shards", "planned", "ok", "failed", "bytes"),
        [
            (
                split,
                f"{one['shards']:,}/{one['shards_planned']:,}",
                f"{one['planned']:,}",
                f"{one['ok']:,}",
                f"{one['failed']:,}",
                size(one["bytes"]),
            )
            for split, one in told["splits"].items()
        ],
    )
    console.result()
    console.table(
        ("stage", "model", "revision", "steps", "guidance", "strength", "weights"),
        [
            (
                stage,
                *("" if one[key] is None else one[key] for key in _STAGE_COLUMNS),
                f"{len(one['weights'])} files" if one["weights"] else "none",
            )
            for stage, one in told["stages"].items()
        ],
    )
    if told["failures"]:
        console.result()
        rows = [(reason, f"{count:,}") for reason, count in told["failures"].items()]
        console.table(("failed because", "samples"), rows)


_STAGE_COLUMNS = ("model", "revision", "steps", "guidance", "strength")
_PROBLEMS_SHOWN = 50


def _tell_problems(console: Console, problems: list[Problem]) -> None:
    console.result()
    if not problems:
        console.heading("verified: every file, picture and row is as it says")
        return
    console.heading(f"{len(problems):,} problems")
    for problem in problems[:_PROBLEMS_SHOWN]:
        console.result(f"  {problem.kind}: {problem.where}: {problem.what}")
    if len(problems) > _PROBLEMS_SHOWN:
        console.result(f"  and {len(problems) - _PROBLEMS_SHOWN:,} more; --json shows all")
    console.note("relume generate sets aside what is incomplete, and makes it anew")


def _failed(arguments: Arguments) -> int:
    from shards.manifest import state
    from shards.plan import shard_names
    from shards.run import read_planned
    from shards.summary import failed_rows

    _, plan = read_planned(arguments.dataset)
    rows = failed_rows(arguments.dataset, state(arguments.dataset, shard_names(plan)))
    console = Console()
    if arguments.json:
        console.result(json.dumps(rows, ensure_ascii=False))
    elif rows:
        listed = [(row["id"], row["shard"], row["reason"], row["prompt"]) for row in rows]
        console.table(("id", "shard", "reason", "prompt"), listed)
    else:
        console.result("no sample failed")
    return INCOMPLETE if rows else DONE


def _sample(arguments: Arguments, sample_id: str) -> int:
    from shards.reader import read_sample

    row, pictures = read_sample(arguments.dataset, sample_id)
    arguments.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(row, indent=2, ensure_ascii=False) + "\n"
    files = {f"{sample_id}.json": text.encode()}
    files |= {f"{sample_id}.{stage}.png": data for stage, data in pictures.items()}
    console = Console()
    for name, data in files.items():
        path = arguments.out / name
        path.write_bytes(data)
        if not arguments.json:
            console.note(f"wrote {path}")
    console.result(json.dumps(row, ensure_ascii=False) if arguments.json else text.rstrip())
    return DONE if row["status"] == "ok" else INCOMPLETE


def _sheet(arguments: Arguments, path: Path) -> int:
    from shards.reader import Reader
    from tasks.contact_sheet import SHEET_SAMPLES, contact_sheet

    with Reader(arguments.dataset) as reader:
        if not len(reader):
            raise ValueError(f"{arguments.dataset}: has no pictures yet; run relume generate")
        # Spread evenly, so that every split and shard may be seen.
        count = min(SHEET_SAMPLES, len(reader))
        sheet = contact_sheet(reader, [n * len(reader) // count for n in range(count)])
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    Console().result(f"{path}: {count} of {len(reader):,} samples")
    return DONE


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
