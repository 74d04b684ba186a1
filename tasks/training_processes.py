"""Starts the processes of a training run on one machine, and keeps them together.

This process is the first of them, the one that tells what happens.
"""

from __future__ import annotations

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
from schemas.run import FileIdentity
from schemas.settings import as_plain
from schemas.training import TrainingEvent, TrainingRecord
from shards import filesystem, layout
from shards.encoding import json_bytes
from shards.manifest import state
from shards.plan import read_plan, shard_names
from shards.provenance import code_version, library_versions
from shards.record_file import agree_on_record
from shards.run import read_generator
from tasks.child_process import begin_follower, deaf_at_birth
from tasks.ranks import Ranks, join, part
from tasks.train_head import Training
from tasks.training_samples import TrainJob
from tasks.training_state import StateFolder

# A process that lost the others says so at its next step; a validation may lie between.
_END_S = 60.0
# One that is gone has told why before; a few may tell no more than that another one is gone.
_CAUSE_S = 2.0


def agree(job: TrainJob, processes: int, selection: Path | None) -> list[str]:
    """Fix what the run is made by, or agree with what is fixed; returns what differs harmlessly.

    It is fixed as soon as there is a state.
    """
    dataset = job.dataset
    stages = read_plan(dataset).schema.names
    for stage in ("source", "target"):
        if f"{stage}_seed" not in stages:
            raise ValueError(f"{dataset}: has no {stage}s; a head is trained on pairs")
    shards = shard_names(read_plan(dataset))
    now, generator = state(dataset, shards), read_generator(dataset)
    if not now.complete or generator is None:
        raise ValueError(
            f"{dataset}: {len(now.done)} of {len(shards)} shards exist; "
            f"finish it with relume generate {dataset}"
        )
    record = TrainingRecord(
        config=job.config,
        dataset=generator.fingerprint(),
        selection=None if selection is None else _identity(selection, job),
        processes=processes,
        code=code_version(),
        libraries=library_versions(),
    )
    filesystem.make_folder(job.run)
    if not StateFolder(job.run, Ranks()).exists():
        # A start that came to nothing, for its settings were wrong, binds nobody.
        content = filesystem.plain(json_bytes(as_plain(record)))
        filesystem.replace_file(job.run, job.run / layout.RUN, content)
        return []
    return agree_on_record(
        job.run / layout.RUN, record, "was begun with other settings; choose another --out"
    )


def train_here(
    job: TrainJob, ranks: Ranks, stop: Callable[[], bool], store: Store | None = None
) -> Iterator[TrainingEvent]:
    """Train as one process, which finds the others by a store, or else by the environment."""
    join(ranks, job.config.numerics.device, store)
    try:
        yield from Training(job, ranks, stop).run()
    except RuntimeError as error:
        if isinstance(error, CannotGoOn) or not _is_loss_of_contact(error):
            raise
        raise LostContact(
            f"process {ranks.rank}: another process is gone, and says why; "
            "the same command continues"
        ) from error
    finally:
        part(ranks)


def _is_loss_of_contact(error: BaseException) -> bool:
    # Gloo has no class for it.
    return isinstance(error, distributed.DistError) or "gloo" in str(error).lower()


def train_in_processes(
    job: TrainJob, count: int, stop: Callable[[], bool]
) -> Iterator[TrainingEvent]:
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


def _follow(
    job: TrainJob, rank: int, count: int, store: str, failures: SimpleQueue[_Failure]
) -> None:
    begin_follower()
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
    job: TrainJob, ranks: Ranks, store: str, stop: Callable[[], bool]
) -> Iterator[TrainingEvent]:
    meeting = torch._C._distributed_c10d.FileStore(store, ranks.count)
    join(ranks, job.config.numerics.device, meeting)
    try:
        yield from Training(job, ranks, stop).run()
    finally:
        part(ranks)


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


def _identity(selection: Path, job: TrainJob) -> FileIdentity:
    assert job.selection is not None
    return FileIdentity(sha256=filesystem.file_facts(selection).sha256, rows=len(job.selection))
