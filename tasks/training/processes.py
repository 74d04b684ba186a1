"""Starts the processes of a training run on one machine, and keeps them together.

This process is the first of them, the one that tells what happens.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import torch
from torch import distributed
from torch._C._distributed_c10d import Store

from schemas.endings import CannotGoOn, LostContact
from schemas.settings import as_plain
from schemas.training import TrainingEvent
from shards import filesystem, layout
from shards.encoding import json_bytes
from shards.record_file import agree_on_record
from tasks.training.child_process import begin_follower, deaf_at_birth
from tasks.training.course import Job
from tasks.training.ranks import Ranks, join, part
from tasks.training.state import StateFolder
from tasks.training.trainer import Training

# A process that lost the others says so at its next step; a validation may lie between.
_END_S = 60.0
# One that is gone has told why before; a few may tell no more than that another one is gone.
_CAUSE_S = 2.0
# What a run has before it is fixed what it is made by: who writes it, and what a job needs.
_BEFORE_A_RECORD = {layout.OWNERS, "slurm", "code"}


def agree(job: Job, processes: int) -> list[str]:
    """Fix what the run is made by, or agree with what is fixed; returns what differs harmlessly.

    It is fixed as soon as there is a state.
    """
    refuse_foreign(job.run)
    record = job.record(processes)
    filesystem.make_folder(job.run)
    if not StateFolder(job.run, Ranks()).exists():
        # A start that came to nothing, for its settings were wrong, binds nobody.
        content = filesystem.plain(json_bytes(as_plain(record)))
        filesystem.replace_file(job.run, job.run / layout.RUN, content)
        return []
    return agree_on_record(
        job.run / layout.RUN, record, "was begun with other settings; choose another --out"
    )


def refuse_foreign(run: Path) -> None:
    """ValueError where a folder holds something else than a training run, which would be lost."""
    if not run.is_dir():
        return
    try:
        told = json.loads((run / layout.RUN).read_bytes())
        ours = isinstance(told, dict) and "processes" in told
    except FileNotFoundError:
        there = {one.name for one in run.iterdir() if not one.name.startswith(".")}
        ours = there <= _BEFORE_A_RECORD
    except ValueError:
        ours = False
    if not ours:
        raise ValueError(f"{run}: holds something else than a training run; choose another --out")


def train_here(
    job: Job, ranks: Ranks, stop: Callable[[], bool], store: Store | None = None
) -> Iterator[TrainingEvent]:
    """Train as one process, which finds the others by a store, or else by the environment."""
    join(ranks, job.settings.numerics.device, store)
    try:
        yield from Training(job, ranks, stop).run()
    except RuntimeError as error:
        if isinstance(error, CannotGoOn) or not _is_loss_of_contact(error):
            raise
        raise LostContact(
            f"process {ranks.rank}: another process is gone; see what it said last; "
            "the same command continues"
        ) from error
    finally:
        part(ranks)


def _is_loss_of_contact(error: BaseException) -> bool:
    # Gloo has no class for it.
    return isinstance(error, distributed.DistError) or "gloo" in str(error).lower()


def train_in_processes(job: Job, count: int, stop: Callable[[], bool]) -> Iterator[TrainingEvent]:
    """Train as the first of some processes, and start the others."""
    context = multiprocessing.get_context("spawn")
    failures: SimpleQueue[_Failure] = context.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="relume-") as folder:
        store = str(Path(folder) / "store")
        # A daemon could not start the processes that read its pictures.
        others = [
            context.Process(target=_follow, args=(job, rank, count, store, failures), daemon=False)
            for rank in range(1, count)
        ]
        try:
            with deaf_at_birth():
                for other in others:
                    other.start()
            _wait_until_here(others, store, count)
            yield from _as_rank(job, Ranks(0, count, 0), store, stop)
            _wait_for(others, _END_S)
        except CannotGoOn:
            raise
        except (RuntimeError, distributed.DistBackendError) as error:
            # What another process died of says more than that it is gone.
            told = _told_by_others(others, failures)
            if told is None:
                raise
            raise told from error
        finally:
            _end(others)


@dataclass(frozen=True, slots=True)
class _Failure:
    """What a process died of."""

    rank: int
    kind: str
    line: str
    is_input: bool
    """whether the settings or the data are wrong, not the machine"""
    is_known: bool
    """whether it is a cause, and not that another process is gone"""


def _follow(job: Job, rank: int, count: int, store: str, failures: SimpleQueue[_Failure]) -> None:
    begin_follower()
    _meeting(store, count).set(_here(rank), "")
    try:
        for _ in _as_rank(job, Ranks(rank, count, rank), store, lambda: False):
            pass
    except BaseException as error:
        is_input = isinstance(error, ValueError)
        is_known = is_input or isinstance(error, CannotGoOn)
        line = str(error).partition("\n")[0]
        failures.put(_Failure(rank, type(error).__name__, line, is_input, is_known))
        if not is_known and not _is_loss_of_contact(error):
            traceback.print_exc()
        # Nothing is waited for: who is left finds this one gone at once.
        sys.stderr.flush()
        os._exit(1)


def _as_rank(
    job: Job, ranks: Ranks, store: str, stop: Callable[[], bool]
) -> Iterator[TrainingEvent]:
    join(ranks, job.settings.numerics.device, _meeting(store, ranks.count))
    try:
        yield from Training(job, ranks, stop).run()
    finally:
        part(ranks)


def _meeting(store: str, count: int) -> Store:
    return torch._C._distributed_c10d.FileStore(store, count)


def _here(rank: int) -> str:
    return f"process {rank} is here"


def _wait_until_here(others: Sequence[BaseProcess], store: str, count: int) -> None:
    """Go on when all have begun; CannotGoOn where one ended before, whom nobody would wait out."""
    meeting = _meeting(store, count)
    for rank, other in enumerate(others, 1):
        while not meeting.check([_here(rank)]):
            if other.exitcode is not None:
                raise CannotGoOn(
                    f"process {rank} ended with {other.exitcode} before it began; its own words "
                    "say why. The same command continues"
                )
            time.sleep(0.05)


def _told_by_others(
    others: Sequence[BaseProcess], failures: SimpleQueue[_Failure]
) -> Exception | None:
    """Why another process is gone, where one is."""
    # The one that failed is gone at once; it took the others' connections with it.
    connection.wait([other.sentinel for other in others], _END_S)
    found: list[_Failure] = []
    limit = time.monotonic() + _CAUSE_S
    while time.monotonic() < limit and not any(one.is_known for one in found):
        for rank, other in enumerate(others, 1):
            if other.exitcode is not None and other.exitcode < 0:
                return CannotGoOn(
                    f"process {rank} was ended by signal {-other.exitcode}; "
                    "the same command continues"
                )
        while not failures.empty():
            found.append(failures.get())
        time.sleep(0.05)
    if not found:
        return None
    first = next((one for one in found if one.is_known), found[0])
    if first.is_input:
        return ValueError(f"process {first.rank}: {first.line}")
    return CannotGoOn(
        f"process {first.rank}: {first.kind}: {first.line}; "
        "the same command continues from the last saved state"
    )


def _wait_for(others: Sequence[BaseProcess], patience_s: float) -> None:
    limit = time.monotonic() + patience_s
    for other in others:
        other.join(max(limit - time.monotonic(), 0))


def _end(others: Sequence[BaseProcess]) -> None:
    """No process is left, however this one came to its end."""
    for other in others:
        if other.is_alive():
            other.kill()
    for other in others:
        if other.pid is not None:
            other.join()
