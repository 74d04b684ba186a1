"""`relume inspect`: what is in a dataset, whether it is sound, and single samples out of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console
from workflows.inspect_told import tell_parts, tell_problems, tell_summary

if TYPE_CHECKING:
    from shards.check_shard import Problem


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Say what is in a dataset; with --verify, read everything and compare it."""

    dataset: tyro.conf.Positional[Path]
    """folder of the dataset"""
    verify: Annotated[bool, tyro.conf.arg(help="check every file, picture and row")] = False
    failed: Annotated[bool, tyro.conf.arg(help="list the samples that failed, and why")] = False
    sample: str | None = None
    """id of a sample whose row is shown, and written to --out with its pictures"""
    out: Path | None = None
    """folder for the pictures and the row of --sample"""
    sheet: Path | None = None
    """write a contact sheet of some samples to this PNG file"""
    json: Annotated[bool, tyro.conf.arg(help="print everything as one JSON document")] = False


def main(argv: list[str]) -> int:
    """Inspect a dataset."""
    arguments = parse(Arguments, "inspect", argv)
    _check(arguments)
    from shards.summary import summary

    console = Console()
    dataset = arguments.dataset
    problems = _verify(dataset, console) if arguments.verify else []
    try:
        told: dict[str, Any] = summary(dataset)
    except ValueError as error:
        if not problems:
            raise
        # What is damaged may not be summed up, but it can be told.
        told = {"dataset": str(dataset), "complete": False, "failed": 0, "unreadable": str(error)}
    only_parts = bool(arguments.sample or arguments.sheet or arguments.failed)
    if arguments.sample is not None:
        told["sample"] = _sample(arguments, arguments.sample, console)
    if arguments.sheet is not None:
        told["sheet"] = _sheet(dataset, arguments.sheet)
    if arguments.failed:
        told["failed_samples"] = _failed(dataset)
    if arguments.verify:
        told["problems"] = [asdict(problem) for problem in problems]
    if arguments.json:
        console.result(json.dumps(told, ensure_ascii=False))
    else:
        tell_parts(console, told)
        if arguments.verify or not only_parts:
            tell_summary(console, told)
        if arguments.verify:
            tell_problems(console, dataset, problems)
    whole = told["complete"] and not told["failed"]
    missed = told.get("sample", {}).get("status") == "failed"
    missed |= arguments.failed and bool(told["failed_samples"] or told["given_up"])
    asked_of_all = arguments.verify or not only_parts
    return INCOMPLETE if missed or problems or (asked_of_all and not whole) else DONE


def _check(arguments: Arguments) -> None:
    if arguments.out is not None and arguments.sample is None:
        raise ValueError(f"--out {arguments.out}: is for --sample; the sheet's path is --sheet")
    if arguments.sheet is not None:
        if arguments.sheet.suffix.lower() != ".png":
            raise ValueError(f"--sheet {arguments.sheet}: is a PNG; let the name end in .png")
        _outside(arguments.dataset, "--sheet", arguments.sheet)
    if arguments.out is not None:
        _outside(arguments.dataset, "--out", arguments.out)


def _outside(dataset: Path, option: str, path: Path) -> None:
    """What is published does not change, and nothing that nobody planned lies in a dataset."""
    if path.resolve().is_relative_to(dataset.resolve()):
        raise ValueError(f"{option} {path}: lies in the dataset; choose a place outside")


def _verify(dataset: Path, console: Console) -> list[Problem]:
    from shards.verify import Checked, verify

    with console.progress("verifying", "shards") as advance:

        def told(checked: Checked) -> None:
            advance(checked.shards, checked.of)

        return list(verify(dataset, told))


def _failed(dataset: Path) -> list[dict[str, Any]]:
    from shards.manifest import state
    from shards.plan import shard_names
    from shards.run import read_planned
    from shards.summary import failed_rows

    _, plan = read_planned(dataset)
    return failed_rows(dataset, state(dataset, shard_names(plan)))


def _sample(arguments: Arguments, sample_id: str, console: Console) -> dict[str, Any]:
    """The row of a sample; its pictures are written where --out says."""
    from shards.reader import read_sample

    row, pictures = read_sample(arguments.dataset, sample_id)
    if arguments.out is None:
        return row
    arguments.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(row, indent=2, ensure_ascii=False) + "\n"
    files = {f"{sample_id}.json": text.encode()}
    files |= {f"{sample_id}.{stage}.png": data for stage, data in pictures.items()}
    for name, data in files.items():
        path = arguments.out / name
        path.write_bytes(data)
        console.note(f"wrote {path}")
    return row


def _sheet(dataset: Path, path: Path) -> dict[str, Any]:
    from shards.reader import Reader
    from tasks.contact_sheet import SHEET_SAMPLES, contact_sheet

    with Reader(dataset) as reader:
        if not len(reader):
            raise ValueError(f"{dataset}: has no pictures yet; run relume generate")
        # Spread evenly, so that every split and shard may be seen.
        count = min(SHEET_SAMPLES, len(reader))
        sheet = contact_sheet(reader, [n * len(reader) // count for n in range(count)])
        shown = {"path": str(path), "shown": count, "of": len(reader)}
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)
    return shown


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
