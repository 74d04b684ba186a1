"""Starts the processes of a training run on one machine, and keeps them together.

This process is the first of them, the one that tells what happens.
"""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import torch
from torch import distributed
from torch._C._distributed_c10d import Store

from schemas.endings import CannotGoOn
from schemas.run import FileIdentity
from schemas.training import TrainingEvent, TrainingRecord
from shards import filesystem, layout
from shards.manifest import state
from shards.plan import read_plan, shard_names
from shards.provenance import code_version, library_versions
from shards.record_file import agree_on_record
from shards.run import read_generator
from tasks.ranks import Ranks, join, part
from tasks.train_head import Training
from tasks.training_samples import TrainJob

# A process that lost the others says so at its next step; a validation may lie between.
_END_S = 60.0


def agree(job: TrainJob, processes: int, selection: Path | None) -> list[str]:
    """Fix what the run is made by, or agree with what is fixed; returns what differs harmlessly."""
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
    finally:
        part(ranks)


def train_in_processes(
    job: TrainJob, count: int, stop: Callable[[], bool]
) -> Iterator[TrainingEvent]:
    """Train as the first of some processes, and start the others."""
    context = multiprocessing.get_context("spawn")
    errors: SimpleQueue[tuple[int, str]] = context.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="relume-") as folder:
        store = str(Path(folder) / "store")
        others = [
            context.Process(target=_follow, args=(job, rank, count, store, errors), daemon=True)
            for rank in range(1, count)
        ]
        for other in others:
            other.start()
        try:
            yield from _as_rank(job, Ranks(0, count, 0), store, stop)
        except (RuntimeError, distributed.DistBackendError) as error:
            # What another process died of says more than that it is gone.
            cause = _first_error(others, errors)
            if cause is None or isinstance(error, CannotGoOn):
                raise
            raise CannotGoOn(cause) from error
        finally:
            _end(others)


def _follow(
    job: TrainJob, rank: int, count: int, store: str, errors: SimpleQueue[tuple[int, str]]
) -> None:
    # Ctrl-C reaches every process of a terminal; the first one decides, and tells at a step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for _ in _as_rank(job, Ranks(rank, count, rank), store, lambda: False):
            pass
    except BaseException as error:
        last = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        errors.put((rank, last))
        if not isinstance(error, CannotGoOn | ValueError):
            traceback.print_exc()
        raise SystemExit(1) from None


def _as_rank(
    job: TrainJob, ranks: Ranks, store: str, stop: Callable[[], bool]
) -> Iterator[TrainingEvent]:
    meeting = torch._C._distributed_c10d.FileStore(store, ranks.count)
    join(ranks, job.config.numerics.device, meeting)
    try:
        yield from Training(job, ranks, stop).run()
    finally:
        part(ranks)


def _first_error(others: Sequence[BaseProcess], errors: SimpleQueue[tuple[int, str]]) -> str | None:
    for rank, other in enumerate(others, 1):
        other.join(_END_S)
        if other.exitcode is not None and other.exitcode < 0:
            return (
                f"process {rank} was ended by signal {-other.exitcode}; the same command continues"
            )
    if errors.empty():
        return None
    rank, last = errors.get()
    return f"process {rank}: {last}; the same command continues from the last saved state"


def _end(others: Sequence[BaseProcess]) -> None:
    for other in others:
        other.join(_END_S)
        if other.is_alive():
            other.kill()
            other.join()


def _identity(selection: Path, job: TrainJob) -> FileIdentity:
    assert job.selection is not None
    return FileIdentity(sha256=filesystem.file_facts(selection).sha256, rows=len(job.selection))
