"""`relume jobs`: how the Slurm jobs of a run or a sweep stand, and what is outstanding."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console, counted

if TYPE_CHECKING:
    from slurm.status import JobStatus


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Show state, step, loss and last error of each job of a run or a sweep."""

    run: tyro.conf.Positional[Path]
    """folder of the run or the sweep"""
    json: bool = False
    """one JSON document instead of a table"""


def main(argv: list[str]) -> int:
    """Show the jobs of a run."""
    arguments = parse(Arguments, "jobs", argv)
    from slurm.site import require_slurm
    from slurm.status import statuses
    from slurm.submit import submitted

    folder = arguments.run.absolute()
    if not submitted(folder):
        raise ValueError(
            f"{arguments.run}: no job was submitted for it; "
            "relume train or relume sweep with --launcher slurm does"
        )
    require_slurm()
    found = statuses(folder)
    if arguments.json:
        print(json.dumps([_plain(one) for one in found]))
    else:
        _show(Console(), folder, found)
    last = {one.run: one for one in found}
    return DONE if all(one.done or one.outstanding for one in last.values()) else INCOMPLETE


def _show(console: Console, folder: Path, found: list[JobStatus]) -> None:
    rows = []
    for one in found:
        told = _metrics(one)
        loss = "" if told.get("loss") is None else f"{told['loss']:.3f}"
        step = max(one.saved_step, told.get("step", 0))
        rows.append([one.job, one.run.name, one.state, one.attempts, f"{step:,}", loss, one.nodes])
    console.table(["job", "run", "state", "attempts", "step", "loss", "nodes"], rows)
    last = {one.run: one for one in found}.values()
    for one in last:
        if one.last_error and not one.done:
            console.warn(f"{one.job}: {one.last_error}")
            console.note(f"  its log: {one.log}")
    waiting = [one for one in last if one.outstanding]
    open_ = [one for one in last if not one.done and not one.outstanding]
    if waiting:
        ids = " ".join(dict.fromkeys(one.job.partition("_")[0] for one in waiting))
        console.note(f"{counted(len(waiting), 'job')} outstanding; to end: scancel {ids}")
    if open_:
        names = ", ".join(one.run.name for one in open_)
        console.note(f"not done and not submitted: {names}; the same command submits them again")
    if not waiting and not open_:
        console.note(f"nothing is outstanding in {folder}")


def _metrics(one: JobStatus) -> dict[str, Any]:
    from workflows.launch import last_metrics

    return last_metrics(one.run)


def _plain(one: JobStatus) -> dict[str, Any]:
    metrics = _metrics(one)
    plain = asdict(one) | {"run": str(one.run), "log": str(one.log)}
    return plain | {"step": metrics.get("step"), "loss": metrics.get("loss")}


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
