"""The units of a gallery on several processes of this machine; each maps the rows' file for itself.

Only numbers of units go out and numbers of rows come back, in the order of the units.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process

from schemas.endings import CannotGoOn
from tasks.gallery.chunk import ChunkConfig, ChunkWorker

_worker: ChunkWorker | None = None


def make_chunks(config: ChunkConfig, num_workers: int) -> Iterator[int]:
    """Make every unit; yields how many rows each has. CannotGoOn when a process dies."""
    numbers = range(config.shape.num_chunks)
    if min(num_workers, len(numbers)) == 1:
        yield from map(ChunkWorker(config).make, numbers)
        return
    # Not forked: arrow's threads would not survive that.
    pool = ProcessPoolExecutor(
        min(num_workers, len(numbers)), get_context("spawn"), _start, (config,)
    )
    try:
        with _interrupts_held_back():
            made = pool.map(_make, numbers)  # starts all processes
        yield from made
    except BrokenProcessPool:
        raise CannotGoOn(
            "a process that drew sheets died, perhaps for lack of memory; "
            "the same command begins again, --workers 1 needs the least"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started meanwhile never hear Ctrl-C, which reaches the whole group.

    The parent hears it afterwards, and alone says what happened.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(config: ChunkConfig) -> None:
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = ChunkWorker(config)


def _make(number: int) -> int:
    assert _worker is not None
    return _worker.make(number)


def _end_with_parent() -> None:
    """A killed parent closes no queue, so its processes would wait for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
