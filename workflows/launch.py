"""Brings a training run to Slurm: checks what can be known beforehand, submits, tells, follows."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.cli import DONE, INCOMPLETE
from workflows.console import Console, counted

if TYPE_CHECKING:
    from schemas.slurm import SlurmSettings
    from workflows.run_training import RunTraining

# Each look asks the controller, which serves everybody.
_POLL_S = 5.0
# Filesystems that live in one machine's memory.
_IN_MEMORY = ("tmpfs", "ramfs", "devtmpfs")


def launch(work: RunTraining, settings: SlurmSettings, *, dry_run: bool, wait: bool) -> int:
    """Submit a training run, or print what would be submitted."""
    from slurm.submit import JobRequest, sbatch_script, submit

    run, console = work.run, Console()
    refuse_relative(work.stage_to)
    request = JobRequest(
        name=f"relume-{run.name}",
        comment=f"relume {work.verb} {run}",
        folder=run,
        runs=(run,),
        reads=work.reads,
        settings=settings,
    )
    if dry_run:
        print(sbatch_script(request))
        return DONE
    from slurm.attempts import DONE as ENDED_WELL
    from slurm.attempts import Attempts
    from slurm.code_copy import copy_code

    check_site(settings, (run, *work.reads, Path(sys.prefix)))
    refuse_outstanding(run)
    earlier = Attempts(run).all()
    if earlier and earlier[-1].ended in ENDED_WELL:
        console.note(f"{run}: is {earlier[-1].ended} already: {run / work.leaves}")
        return DONE
    work.agree(settings.processes, console)
    copy_code(run)
    job = submit(request, [work])
    console.result(job)
    tell_how_to_follow(console, run, job)
    return follow(console, work, job, work.num_steps(settings.processes)) if wait else DONE


def check_site(settings: SlurmSettings, folders: tuple[Path, ...]) -> None:
    """ValueError for what can be known to fail before anything is submitted."""
    from slurm.site import refuse_impossible, require_slurm

    require_slurm()
    for folder in folders:
        kind = _filesystem(folder)
        if kind in _IN_MEMORY:
            raise ValueError(
                f"{folder}: is on a {kind} of this machine, which compute nodes cannot see; "
                "use a folder on the shared disk"
            )
    refuse_impossible(settings)


def refuse_relative(stage_to: Path | None) -> None:
    """ValueError for a place that would lie within the copy of the code, on the shared disk."""
    if stage_to is not None and not stage_to.is_absolute():
        raise ValueError(
            f"--stage-to {stage_to}: should begin with /, as a folder on each node's own disk"
        )


def refuse_outstanding(folder: Path) -> None:
    """ValueError where a job of this run or sweep runs or waits already."""
    from slurm.status import outstanding_job

    job = outstanding_job(folder)
    if job is not None and job.state == "COMPLETING":
        raise ValueError(f"{folder}: job {job.id} is just ending; try again once it has ended")
    if job is not None:
        raise ValueError(
            f"{folder}: job {job.id} is {job.state.lower()} already; relume jobs "
            f"{shlex.quote(str(folder))} shows it, scancel {job.id} ends it"
        )


def tell_how_to_follow(console: Console, folder: Path, job: str) -> None:
    """Say how a submitted job is watched and ended."""
    from slurm.status import log_path

    place = shlex.quote(str(folder))
    console.note(f"submitted job {job}; the same command continues it once it has ended")
    console.note(f"  squeue -j {job}    relume jobs {place}    scancel {job}")
    console.note(f"  tail -F {shlex.quote(str(log_path(folder, job)))}")


def follow(console: Console, work: RunTraining, job: str, steps: int) -> int:
    """Show a job's progress until it ends; Ctrl-C leaves the job alone."""
    from slurm.status import status_of

    run, shown = work.run, ""
    try:
        with console.progress("training", "steps", steps) as advance:
            while True:
                status = status_of(run, job)
                if status.state != shown:
                    shown = status.state
                    console.note(f"job {job}: {shown} {status.nodes}".rstrip())
                last = last_metrics(run)
                loss = last.get("loss")
                advance(last.get("step", 0), also="" if loss is None else f"loss {loss:.3f}")
                if not status.outstanding:
                    break
                time.sleep(_POLL_S)
    except KeyboardInterrupt:
        console.note(f"no longer watched; job {job} goes on: relume jobs {run}")
        raise
    if status.done:
        console.heading(f"{run}: {status.state}, in {counted(status.attempts, 'attempt')}")
        console.facts({work.leaves: run / work.leaves})
        return DONE
    console.error(f"job {job}: {status.last_error or f'{status.state}; see {status.log}'}")
    return INCOMPLETE


def last_metrics(run: Path) -> dict[str, Any]:
    """The last line of metrics.jsonl that tells of a step; nothing where there is none yet."""
    for line in _lines_from_the_end(run / "metrics.jsonl"):
        try:
            told: dict[str, Any] = json.loads(line)
        except ValueError:
            continue  # cut short: it is being written
        if told.get("kind") == "step":
            return told
    return {}


def _lines_from_the_end(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 65_536))
            yield from reversed(file.read().splitlines())
    except FileNotFoundError:
        return


def _filesystem(path: Path) -> str:
    """The kind of filesystem that a path is on, or would be."""
    path = path.resolve()
    found, kind = Path("/"), ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mounted, one, *_ = line.split(" ")
        place = Path(mounted.encode().decode("unicode_escape"))
        if path.is_relative_to(place) and place.is_relative_to(found):
            found, kind = place, one
    return kind
