"""The runs of a sweep, one after the other on this machine or as an array of Slurm."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.cli import DONE, INCOMPLETE, Terminated
from workflows.console import Console, counted

if TYPE_CHECKING:
    from slurm.submit import JobRequest
    from workflows.run_training import RunTraining


def train_cells(console: Console, works: Sequence[RunTraining], out: Path, processes: int) -> int:
    """One cell after the other; one that fails does not stop the others."""
    from schemas.endings import CannotGoOn
    from tasks.training.ranks import Ranks
    from workflows.start_training import stop_asked

    failed = 0
    for number, work in enumerate(works, 1):
        name = work.run.relative_to(out)
        console.heading(f"{name} ({number} of {len(works)})")
        with stop_asked() as asked:
            try:
                ending = work.here(processes, Ranks(), lambda: asked.number is not None)
            except CannotGoOn as error:
                failed += 1
                console.error(f"{name}: {error}")
                continue
        if ending == "stopped":
            raise Terminated("SIGTERM") if asked.number == signal.SIGTERM else KeyboardInterrupt
    if failed:
        console.warn(f"{counted(failed, 'cell')} failed; the same command tries them again")
    return INCOMPLETE if failed else DONE


def submit_cells(console: Console, request: JobRequest, works: Sequence[RunTraining]) -> None:
    """All cells as one array, unless one is there that goes on."""
    from slurm.code_copy import copy_code
    from slurm.status import outstanding_job
    from slurm.submit import submit
    from workflows.launch import check_site

    out = request.folder
    check_site(request.settings, (out, *request.reads, Path(sys.prefix)))
    outstanding = outstanding_job(out)
    if outstanding is not None:
        place, state = shlex.quote(str(out)), outstanding.state.lower()
        console.note(f"nothing is submitted while job {outstanding.id} is {state}:")
        console.note(f"  relume jobs {place}    scancel {outstanding.id.partition('_')[0]}")
        return
    for work in works:
        work.agree(request.settings.processes, console)
    copy_code(out)
    job = submit(request, list(works))
    console.result(job.partition("_")[0])
    console.note(f"{counted(len(works), 'cell')} submitted: relume jobs {shlex.quote(str(out))}")
    console.note("the same command shows the tables so far, and submits what has failed")
