"""How the jobs of a run or a sweep stand: what Slurm says, and what their attempts have left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slurm.attempts import DONE, Attempt, Attempts, told
from slurm.site import Job, find_job
from slurm.submit import JOBS, submitted

# What Slurm writes where a node cannot open the file that a job's words should go to.
_NO_LOG = "0:53"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job, or one of an array."""

    job: str
    name: str
    run: Path
    state: str
    outstanding: bool
    done: bool
    attempts: int
    saved_step: int
    nodes: str
    last_error: str
    log: Path


def outstanding_job(folder: Path) -> Job | None:
    """A job of this run or sweep that runs or will run."""
    for line in submitted(folder):
        for job, _ in _jobs(line):
            found = find_job(job)
            if found is not None and found.outstanding:
                return found
    return None


def status_of(folder: Path, job: str) -> JobStatus:
    """How one of the jobs that were submitted for a run stands; Slurm is asked for it alone."""
    line, run = next(
        (line, run) for line in submitted(folder) for one, run in _jobs(line) if one == job
    )
    return _status(folder, line["name"], job, run)


def statuses(folder: Path) -> list[JobStatus]:
    """Every job that was submitted for a run or a sweep, the oldest first."""
    return [
        _status(folder, line["name"], job, run)
        for line in submitted(folder)
        for job, run in _jobs(line)
    ]


def log_path(folder: Path, job: str) -> Path:
    """Where the first rank of a job writes, and its batch script."""
    return folder / "slurm" / JOBS / f"{job}_0_log.out"


def _jobs(line: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    for index, run in enumerate(line["runs"]):
        yield (f"{line['job']}_{index}" if line["array"] else line["job"]), Path(run)


def _status(folder: Path, name: str, job: str, run: Path) -> JobStatus:
    found, attempts = find_job(job), Attempts(run).of(job)
    last = attempts[-1] if attempts else None
    waiting = found is not None and found.outstanding
    return JobStatus(
        job=job,
        name=name,
        run=run,
        state=_state(found, last),
        outstanding=waiting,
        done=last is not None and last.ended in DONE,
        attempts=len(attempts),
        saved_step=max((one.saved_step for one in attempts), default=0),
        nodes=found.nodes if found and found.running else "",
        last_error=error_of(folder, found, attempts),
        log=log_path(folder, job),
    )


def _state(found: Job | None, last: Attempt | None) -> str:
    if found is not None and found.outstanding:
        reason = f" ({found.reason})" if found.state == "PENDING" else ""
        return f"{found.state.lower()}{reason}"
    if last is None:
        return "gone" if found is None else found.state.lower()
    if found is not None and found.state == "CANCELLED" and last.ended not in DONE:
        return "cancelled"
    return last.ended


def error_of(folder: Path, found: Job | None, attempts: list[Attempt]) -> str:
    """What is wrong with a job as it stands; nothing of errors that a later attempt overcame."""
    if found is not None and found.exit_code == _NO_LOG and not found.outstanding:
        return f"could not write its log: the nodes do not see {folder}; use a shared folder"
    ended = list(attempts)
    if ended and found is not None and found.running and ended[-1].ended == "lost":
        now = ended.pop()
        if now.progressed:  # whatever was wrong before no longer is
            return ""
    if ended and ended[-1].ended in ("lost", "failed", "given up"):
        return told(ended[-1])
    if found is not None and found.state in ("FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"):
        return _in_log(log_path(folder, found.id)) or f"{found.state}, {found.exit_code}"
    return ""


def _in_log(log: Path) -> str:
    """The last error that a batch script wrote before any attempt began."""
    if not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.startswith("error: ")), "")[7:]
