"""`relume inspect`: what is in a dataset, whether it is sound, and single samples out of it."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console, counted, size

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
        _tell_parts(console, told)
        if arguments.verify or not only_parts:
            _tell(console, told)
        if arguments.verify:
            _tell_problems(console, dataset, problems)
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


def _tell_parts(console: Console, told: dict[str, Any]) -> None:
    if "sample" in told:
        console.result(json.dumps(told["sample"], indent=2, ensure_ascii=False))
    if "sheet" in told:
        sheet = told["sheet"]
        console.result(f"{sheet['path']}: {sheet['shown']} of {counted(sheet['of'], 'sample')}")
    if "failed_samples" in told:
        listed = [
            (row["id"], row["shard"], row["reason"], row["prompt"])
            for row in told["failed_samples"]
        ]
        if listed:
            console.table(("id", "shard", "reason", "prompt"), listed)
        else:
            console.result("no sample failed")
        for shard, why in told["given_up"].items():
            console.result(f"{shard}: given up: {why}")
        if told["given_up"]:
            place = shlex.quote(told["dataset"])
            console.note(f"next: relume generate {place} --retry-failed, once that is mended")


def _verify(dataset: Path, console: Console) -> list[Problem]:
    from shards.verify import Checked, verify

    with console.progress("verifying", "shards") as advance:

        def told(checked: Checked) -> None:
            advance(checked.shards, checked.of)

        return list(verify(dataset, told))


def _tell(console: Console, told: dict[str, Any]) -> None:
    if "unreadable" in told:
        console.heading(f"{told['dataset']}: {told['unreadable']}")
        return
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
        facts["given up"] = _given_up(told["given_up"])
    if told["set_aside"]:
        facts["set aside"] = f"{counted(told['set_aside'], 'time')}, see quarantine/"
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
                _weights(one["weights"]),
            )
            for stage, one in told["stages"].items()
        ],
    )
    if told["failures"]:
        console.result()
        rows = [(reason, f"{count:,}") for reason, count in told["failures"].items()]
        console.table(("failed because", "samples"), rows)


def _given_up(shards: dict[str, str]) -> str:
    first, why = next(iter(shards.items()))
    return f"{counted(len(shards), 'shard')}, for example {first}: {why}"


def _weights(weights: dict[str, str] | None) -> str:
    if weights is None:
        return "not made yet"
    return counted(len(weights), "file") if weights else "none"


_STAGE_COLUMNS = ("model", "revision", "steps", "guidance", "strength")
_PROBLEMS_SHOWN = 50


def _tell_problems(console: Console, dataset: Path, problems: list[Problem]) -> None:
    from shards.check_shard import GENERATE, MEND, RETRY

    console.result()
    if not problems:
        console.heading("verified: every file, picture and row is as it says")
        return
    console.heading(counted(len(problems), "problem"))
    for problem in problems[:_PROBLEMS_SHOWN]:
        console.result(f"  {problem.kind}: {problem.where}: {problem.what}")
    if len(problems) > _PROBLEMS_SHOWN:
        console.result(f"  and {len(problems) - _PROBLEMS_SHOWN:,} more; --json shows all")
    mends = [problem.mend for problem in problems if problem.mend]
    if mends:
        options = "".join(one.removeprefix(GENERATE) for one in (MEND, RETRY) if one in mends)
        command = GENERATE.replace("DATASET", shlex.quote(str(dataset))) + options
        which = "it" if len(problems) == 1 else f"{len(mends):,} of them"
        console.note(f"next, to mend {which}: {command}")


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
