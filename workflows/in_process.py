"""The engine without a cluster: one lease after another, in this process."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import TypeVar

from schemas.endings import CannotGoOn
from schemas.lease import (
    STRIKES,
    Lease,
    LeaseFailed,
    Outcome,
    OutOfTime,
    Worker,
    WorkerReady,
    error_line,
)

Result = TypeVar("Result")


def run(
    leases: Iterable[Lease], num_leases: int, worker: Worker[Result], deadline: float | None = None
) -> Generator[Result | Outcome]:
    """The result of every lease, or why there is none after three attempts.

    CannotGoOn is of all leases and ends the run. No lease is started that would not end by the
    deadline.
    """
    longest_s = 0.0
    for number, lease in enumerate(leases):
        if deadline is not None and time.time() + longest_s >= deadline:
            yield OutOfTime(leases_left=num_leases - number, longest_s=longest_s)
            return
        if number == 0:  # models are not loaded for nothing
            yield WorkerReady(host=socket.gethostname(), stack=worker.setup())
        begun = time.monotonic()
        yield from _attempts(lease, worker)
        longest_s = max(longest_s, time.monotonic() - begun)


def _attempts(lease: Lease, worker: Worker[Result]) -> Iterator[Result | Outcome]:
    for strike in range(1, STRIKES + 1):
        attempt = replace(lease, attempt=lease.attempt + strike - 1)
        try:
            yield worker.run(attempt, nullcontext())
            return
        except CannotGoOn:
            raise
        except Exception as error:
            yield LeaseFailed(
                shard=attempt.shard,
                attempt=attempt.attempt,
                error=error_line(error),
                traceback=traceback.format_exc(),
                given_up=strike == STRIKES,
            )
