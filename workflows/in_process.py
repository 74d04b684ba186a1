"""The engine without a cluster: one lease after another, in this process."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from schemas.lease import Lease, LeaseFailed, Worker

STRIKES = 3

Result = TypeVar("Result")


def run(leases: Iterable[Lease], worker: Worker[Result]) -> Iterator[Result | LeaseFailed]:
    """The result of every lease, or why there is none after three attempts.

    An OSError is of the machine and not of the lease: it ends the run.
    """
    ready = False
    for lease in leases:
        if not ready:  # models are not loaded for nothing
            worker.setup()
            ready = True
        for strike in range(1, STRIKES + 1):
            attempt = replace(lease, attempt=lease.attempt + strike - 1)
            try:
                yield worker.run(attempt)
                break
            except OSError:
                raise
            except Exception as error:
                yield LeaseFailed(
                    shard=attempt.shard,
                    attempt=attempt.attempt,
                    error=f"{type(error).__name__}: {error}",
                    traceback=traceback.format_exc(),
                    given_up=strike == STRIKES,
                )
