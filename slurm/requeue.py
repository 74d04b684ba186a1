"""In a job: hears Slurm's signals, has the work save, and asks for another attempt.

Slurm tells a job to go by USR2 before its time limit and by TERM on preemption, cancellation and
requeue. A handler only sets a flag, which the work asks for and its ranks agree on. Once all is
saved, the first rank asks the controller which of the four it was. Knows nothing of what is worked
on.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.endings import CannotGoOn, LostContact
from schemas.place import Place, Work
from schemas.slurm import SlurmSettings
from shards import filesystem
from shards.encoding import json_bytes
from slurm.attempts import FOLDER, Attempt, Attempts, How, why_not_again
from slurm.site import Job, find_job

ERRORS = "errors"


@dataclass(frozen=True, slots=True)
class Incarnation:
    """Which job this process belongs to, and for the how-manyeth time."""

    job: str
    """id as a person says it: 12 or 12_3; the number alone also names the array of its last job"""
    index: int
    """place in the array, 0 without one"""
    restarts: int
    nodes: str

    @classmethod
    def here(cls, environment: Mapping[str, str]) -> Incarnation:
        """The one that Slurm's variables tell of."""
        array, index = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
        raw = environment["SLURM_JOB_ID"]
        return cls(
            job=raw if array is None else f"{array}_{index}",
            index=int(index or 0),
            restarts=int(environment.get("SLURM_RESTART_COUNT", 0)),
            nodes=environment.get("SLURM_JOB_NODELIST", ""),
        )


@dataclass(frozen=True, slots=True)
class Supervised:
    """What each rank of a job runs: its work, and what Slurm wants in between."""

    work: Work
    run: Path
    limits: SlurmSettings

    def __call__(self) -> str:
        """Work until the end, until Slurm ends the job, or until nothing can be done."""
        asked = _Asked()
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, asked.by_signal)
        incarnation = Incarnation.here(os.environ)
        place = place_of(os.environ, self.run, incarnation)
        print(told_place(place, os.environ), flush=True)
        attempts = Attempts(self.run)
        record = _Record(attempts, attempts.find(incarnation.job, incarnation.restarts))
        try:
            ending = self.work(place, asked, record.saved if place.rank == 0 else _nothing)
        except BaseException as error:
            tell_error(self.run, incarnation, place, error)
            raise
        if place.rank != 0:
            return ending  # what it held is free for the next job while the first one asks
        if ending == "stopped":
            self._go(attempts, record.attempt, incarnation)
        else:
            attempts.end(record.attempt, ending)
        return ending

    def _go(self, attempts: Attempts, attempt: Attempt, incarnation: Incarnation) -> None:
        """Say why this attempt ends, and ask for the next one where that is wanted."""
        # Slurm signals every process of a step, and so the commands that ask and requeue as well.
        for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGCONT):
            signal.signal(number, signal.SIG_IGN)
        job = find_job(incarnation.job)
        how = stopped_by(job, incarnation.restarts)
        attempts.end(attempt, how)
        print(f"saved step {attempt.saved_step}; {how}", flush=True)
        if how in ("preempted", "time limit"):
            again_or_give_up(attempts, attempt, incarnation, self.limits)


class _Asked:
    """Whether a signal asked this process to save; its children inherit the handler, not this."""

    def __init__(self) -> None:
        self._process, self._asked = os.getpid(), False

    def by_signal(self, number: int, _: object) -> None:
        if os.getpid() == self._process:
            self._asked = True
        else:  # a reader, forked off: it has nothing to save
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def __call__(self) -> bool:
        return self._asked


class _Record:
    def __init__(self, attempts: Attempts, attempt: Attempt) -> None:
        self._attempts, self.attempt = attempts, attempt

    def saved(self, steps: int) -> None:
        """Note how far a restart would be."""
        self.attempt = replace(self.attempt, saved_step=steps)
        self._attempts.write(self.attempt)


def stopped_by(job: Job | None, restarts: int) -> How:
    """Which of Slurm's reasons made a job stop."""
    if job is None:
        return "cancelled"
    if job.running:
        return "preempted" if job.preempted else "time limit"
    if job.restarts > restarts:
        return "requeued"
    return "preempted" if job.cut_off else "cancelled"


def again_or_give_up(
    attempts: Attempts, attempt: Attempt, incarnation: Incarnation, limits: SlurmSettings
) -> None:
    """Requeue this job; SystemExit where it is given up, with the reason in its record."""
    why = why_not_again(attempts.of(incarnation.job), limits)
    if why is None:
        done = subprocess.run(
            ["scontrol", "requeue", incarnation.job], capture_output=True, text=True, check=False
        )
        job = None if done.returncode == 0 else find_job(incarnation.job)
        if done.returncode == 0 or (job is not None and job.restarts > incarnation.restarts):
            print(f"requeued after attempt {attempt.restarts + 1}", flush=True)
            return
        why = f"Slurm does not requeue it: {done.stderr.strip()}"
    attempts.end(attempt, "given up", why)
    print(f"error: given up: {why}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def place_of(environment: Mapping[str, str], run: Path, incarnation: Incarnation) -> Place:
    """This process among those that srun started."""
    count = int(environment["SLURM_NTASKS"])
    return Place(
        rank=int(environment["SLURM_PROCID"]),
        count=count,
        local_rank=int(environment["SLURM_LOCALID"]),
        local_count=int(environment.get("SLURM_NTASKS_PER_NODE", count)),
        host=socket.gethostname(),
        # Another incarnation meets anew, whatever the one before it has left.
        meeting=run / FOLDER / "meetings" / f"{incarnation.job}.{incarnation.restarts}",
    )


def told_place(place: Place, environment: Mapping[str, str]) -> str:
    """Where a rank runs and which GPU is its own."""
    told = f"rank {place.rank} of {place.count} on {place.host}"
    gpus = [one for one in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    if gpus:
        told += f", GPU {gpus[place.local_rank % len(gpus)]} of {','.join(gpus)}"
    return told


def tell_error(run: Path, incarnation: Incarnation, place: Place, error: BaseException) -> None:
    """Leave the last words of a rank for whoever decides on the next attempt."""
    first = str(error).partition("\n")[0]
    plain = {
        "rank": place.rank,
        "host": place.host,
        "time": time.time(),
        "error": first
        if isinstance(error, ValueError | CannotGoOn)
        else f"{_kind(error)}: {first}",
        # Wrong input stays wrong however often it is tried.
        "wrong_input": isinstance(error, ValueError),
        "clear": isinstance(error, ValueError | CannotGoOn) and not isinstance(error, LostContact),
        "lost": isinstance(error, LostContact),
    }
    folder = run / FOLDER / ERRORS
    filesystem.make_folder(folder)
    name = f"{incarnation.job}.{incarnation.restarts}-rank-{place.rank:04d}.json"
    filesystem.replace_file(run / FOLDER, folder / name, filesystem.plain(json_bytes(plain)))


def _kind(error: BaseException) -> str:
    return type(error).__name__


def _nothing(_: int) -> None:
    return
