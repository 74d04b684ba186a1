"""Leases out, results in, on the actors of a Ray cluster. The driver owns every retry.

Each actor holds one worker and has two leases, so it never waits for the driver, and the second has
its turn while the first is being finished. An actor that dies is replaced, and nothing is restarted
behind the driver's back. Of the leases on a dead actor the first gets a strike; both are retried
alone, where whoever is at fault is found out.
"""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

from cluster.actor import Ran, Ready
from cluster.seats import Seat, Seats, Usage
from schemas.endings import CannotGoOn
from schemas.lease import (
    STRIKES,
    Lease,
    LeaseFailed,
    Outcome,
    OutOfTime,
    Waited,
    Worker,
    WorkerLost,
    WorkerReady,
    error_line,
)

Result = TypeVar("Result")

DEATHS = 3
QUEUED = 2
TICK_S = 1.0
# Ray paints its tracebacks.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class WorkersKeepDying(CannotGoOn):
    """Three workers in a row ended before any of them had finished a lease."""


class Engine(Generic[Result]):
    """Runs one kind of worker on a cluster that is connected already."""

    def __init__(
        self,
        worker: type[Worker[Result]],
        config: Any,
        needs: Seats,
        deadline: float | None = None,
    ) -> None:
        """No lease is started that would not end by the deadline, in seconds of the epoch."""
        self.usage = Usage()
        self._worker, self._config, self._needs = worker, config, needs
        self._deadline = deadline
        self._seats: list[Seat] = []
        self._fresh: Iterator[Lease] = iter(())
        self._again: deque[Lease] = deque()
        self._suspects: deque[Lease] = deque()
        self._strikes: Counter[str] = Counter()
        # Shards that are done alone, since a worker died with them.
        self._alone: set[str] = set()
        self._deaths = 0
        self._left = 0

    def run(self, leases: Iterable[Lease], num_leases: int) -> Generator[Result | Outcome]:
        """The result of every lease, or why there is none; workers that come and go.

        CannotGoOn, raised by a worker, is of all leases and ends the run. Close the iterator before
        the connection, so that the workers end too.
        """
        self._fresh, self._left = iter(leases), num_leases
        try:
            while self._left:
                self._fit_seats()
                if self._out_of_time():
                    yield OutOfTime(leases_left=self._left, longest_s=self.usage.longest_s)
                    return
                yield from self._wait()
        finally:
            for seat in self._seats:
                seat.end()

    def _wait(self) -> Iterator[Result | Outcome]:
        seat_of = {ref: seat for seat in self._seats if (ref := seat.ref()) is not None}
        ready: list[Any] = []
        if seat_of:
            ready, _ = ray.wait(list(seat_of), num_returns=1, timeout=TICK_S)
        else:
            time.sleep(TICK_S)  # the cluster has no room, until a node joins
        for ref in ready:
            yield from self._take(seat_of[ref], ref)
        for seat in list(self._seats):
            if seat.overdue(self._needs):
                spent_s = time.monotonic() - seat.started_at
                yield from self._died(seat, f"no answer after {spent_s:.0f} s")
        if not ready:
            yield Waited(
                workers=sum(seat.node is not None for seat in self._seats),
                pending=sum(seat.pending for seat in self._seats),
                lacking=self._needs.lacking(),
            )

    def _take(self, seat: Seat, ref: Any) -> Iterator[Result | Outcome]:
        """What has come back from a seat: an answer, an exception, or its death."""
        try:
            value = ray.get(ref)
        except RayTaskError as error:
            yield from self._raised(seat, error)
        except ActorUnavailableError:
            # A broken connection: the process, the node or the network. What the cluster says of
            # the next call is final.
            seat.ask_whether_it_lives()
        except RayError as error:
            yield from self._died(seat, str(error))
        else:
            yield from self._answered(seat, value)

    def _answered(self, seat: Seat, value: Any) -> Iterator[Result | Outcome]:
        match value:
            case Ready():
                seat.node = value.node
                yield WorkerReady(host=value.host, stack=value.stack)
                self._feed(seat)
            case Ran():
                self.usage.count(value, first=not seat.num_done)
                self._finished(seat)
                self._deaths = 0
                self._left -= 1
                yield value.result
            case None if seat.pending:
                seat.load()
            case None if seat.leases:
                # It lives, but nobody knows what became of its leases.
                yield from self._died(seat, "lost its connection", node_lost=True)
            case None:
                seat.probe = None
                self._feed(seat)

    def _raised(self, seat: Seat, error: RayTaskError) -> Iterator[Outcome]:
        cause = error.cause
        if isinstance(cause, CannotGoOn):
            raise cause from None
        if seat.node is None:
            yield from self._died(seat, error_line(cause))
            return
        yield self._blame(self._finished(seat), error_line(cause), str(error))

    def _finished(self, seat: Seat) -> Lease:
        """The lease that a seat is done with, however it ended; the next one has begun by now."""
        lease = seat.finished()
        waits = not seat.leases and lease.shard not in self._alone
        self._feed(seat)
        self.usage.starved += waits and bool(seat.leases)
        return lease

    def _feed(self, seat: Seat) -> None:
        """Queue leases on a ready seat; a suspect gets a seat for itself."""
        if not seat.leases and self._suspects and self._fits(0):
            seat.queue(self._suspects.popleft())
            return
        if any(lease.shard in self._alone for _, lease in seat.leases):
            return
        while len(seat.leases) < self._depth() and self._fits(len(seat.leases)):
            lease = self._again.popleft() if self._again else next(self._fresh, None)
            if lease is None:
                return
            seat.queue(lease)

    def _depth(self) -> int:
        """How many leases may lie at a worker; what has begun by itself cannot be called back."""
        unknown = self._deadline is not None and not self.usage.leases
        return 1 if unknown else QUEUED

    def _fits(self, ahead: int) -> bool:
        """Whether a lease with so many ahead of it would end before the deadline."""
        if self._deadline is None:
            return True
        return time.time() + (ahead + 1) * self.usage.longest_s < self._deadline

    def _out_of_time(self) -> bool:
        """Whether nothing runs that would end in time, and nothing more may begin."""
        if self._deadline is None or self._fits(0):
            return False
        return time.time() >= self._deadline or not any(seat.leases for seat in self._seats)

    def _died(self, seat: Seat, why: str, *, node_lost: bool = False) -> Iterator[Outcome]:
        """Replace an actor; blame the lease that had started, unless its node is gone."""
        seat.end()
        self._seats.remove(seat)
        node_lost = node_lost or _node_is_gone(seat.node, why)
        yield WorkerLost(
            cause=_first_line(why), node_lost=node_lost, was_ready=seat.node is not None
        )
        leases = [lease for _, lease in seat.leases]
        if node_lost:
            for lease in reversed(leases):
                # A suspect stays one, and is alone with its next worker too.
                back = self._suspects if lease.shard in self._alone else self._again
                back.appendleft(lease)
            return
        for lease in leases[:1]:
            yield self._blame(lease, _first_line(why), why)
        for lease in leases[1:]:
            # Perhaps it had begun: no strike, but it has to show by itself that it harms nobody.
            self._suspect(lease)
        # A suspect that kills its worker again says nothing about the other workers.
        if not any(self._strikes[lease.shard] > 1 for lease in leases[:1]):
            self._deaths += 1
        if self._deaths >= DEATHS:
            raise WorkersKeepDying(
                f"{DEATHS} workers ended one after the other and none finished a lease; "
                f"the last one: {_first_line(why)}"
            )

    def _blame(self, lease: Lease, error: str, traceback: str) -> LeaseFailed:
        self._strikes[lease.shard] += 1
        given_up = self._strikes[lease.shard] >= STRIKES
        if given_up:
            self._left -= 1
        else:
            self._suspect(replace(lease, attempt=lease.attempt + 1))
        return LeaseFailed(
            shard=lease.shard,
            attempt=lease.attempt,
            error=error,
            traceback=_COLOURS.sub("", traceback),
            given_up=given_up,
        )

    def _suspect(self, lease: Lease) -> None:
        self._alone.add(lease.shard)
        self._suspects.append(lease)

    def _fit_seats(self) -> None:
        """Feed whoever has too little, and start as many more as there is room and work for."""
        if not self._fits(0):
            return
        waiting = self._left - sum(len(seat.leases) for seat in self._seats)
        for seat in self._seats:
            if seat.idle and waiting:
                # Nobody was told if it died meanwhile, and a lease must not be blamed for that.
                seat.ask_whether_it_lives()
            elif seat.leases and seat.probe is None:
                self._feed(seat)
        for _ in range(min(self._needs.room(), self._left) - len(self._seats)):
            self._seats.append(Seat.start(self._worker, self._config, self._needs))


def _node_is_gone(node: str | None, why: str) -> bool:
    """Whether a worker ended because its node did."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    alive = any(one["NodeID"] == node and one["Alive"] for one in nodes)
    return "node has died" in why or (node is not None and not alive)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
