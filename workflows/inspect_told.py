"""What `relume inspect` says of a dataset, for people; finds nothing out itself."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.console import Console, counted, size

if TYPE_CHECKING:
    from shards.check_shard import Problem


def tell_summary(console: Console, told: dict[str, Any]) -> None:
    """What is in the dataset."""
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
    _tell_splits_and_stages(console, told)
    if told["failures"]:
        console.result()
        rows = [(reason, f"{count:,}") for reason, count in told["failures"].items()]
        console.table(("failed because", "samples"), rows)


def _tell_splits_and_stages(console: Console, told: dict[str, Any]) -> None:
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


def _given_up(shards: dict[str, str]) -> str:
    first, why = next(iter(shards.items()))
    return f"{counted(len(shards), 'shard')}, for example {first}: {why}"


def _weights(weights: dict[str, str] | None) -> str:
    if weights is None:
        return "not made yet"
    return counted(len(weights), "file") if weights else "none"


_STAGE_COLUMNS = ("model", "revision", "steps", "guidance", "strength")
_PROBLEMS_SHOWN = 50


def tell_problems(console: Console, dataset: Path, problems: list[Problem]) -> None:
    """What verification found, and the command that mends it."""
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


def tell_parts(console: Console, told: dict[str, Any]) -> None:
    """What was asked for by itself: a sample, a sheet, the failures."""
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
