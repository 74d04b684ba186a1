"""How the processes that a trainer starts end: with it, whatever it dies of, and not before it.

A signal to the whole group, as Ctrl-C and Slurm send it, is for the first process to decide on. The
others go on until it has saved what they share.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.synchronize import Semaphore

_ASKS = (signal.SIGINT, signal.SIGTERM)
# A step takes less; then a reader that nobody shuts down does end.
_GRACE_S = 30


@contextmanager
def deaf_at_birth() -> Iterator[None]:
    """Processes that are started within it hear no SIGINT and SIGTERM until they say so."""
    # It would let the signals through again when it starts by itself.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ASKS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Have this process end as soon as the one that started it is gone, also by SIGKILL."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        # It waits for the end of a pipe that the parent alone holds.
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def begin_follower() -> None:
    """Become a process that trains beside the first, which tells it at a step when to stop."""
    end_with_parent()
    for number in _ASKS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKS)


def begin_reader(begun: Semaphore, _worker: int) -> None:
    """Become a process that reads pictures; one asked to end still serves the step at hand."""
    begun.release()
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.signal(signal.SIGTERM, _end_later)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKS)


def _end_later(*_: object) -> None:
    signal.alarm(_GRACE_S)
