"""Leases out, results in, on the actors of a Ray cluster. The driver owns every retry.

Each actor holds one worker and has two leases queued, so it never waits for the driver. An actor
that dies is replaced, and nothing is restarted behind the driver's back. Blame is exact: of the
leases on a dead actor only the one that had started can be at fault, and it is retried alone.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

from cluster.actor import Ran, Sign, actor_of
from schemas.endings import CannotGoOn
from schemas.lease import Lease, LeaseFailed, Outcome, OutOfTime, Worker, WorkerLost, WorkerReady

Result = TypeVar("Result")

STRIKES = 3
DEATHS = 3
QUEUED = 2
TICK_S = 1.0


class WorkersKeepDying(CannotGoOn):
    """Three workers in a row ended before any of them had finished a lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """What a worker needs, and how many there may be."""

    num_gpus: float = 0.0
    num_cpus: float = 1.0
    most: int | None = None
    lease_timeout_s: float = 3600.0
    sign: Sign | None = None


@dataclass(slots=True)
class Usage:
    """How the time of all workers was spent, between their first lease and their last."""

    leases: int = 0
    busy_s: float = 0.0
    idle_s: float = 0.0
    # How often a worker was done before its next lease had been queued.
    starved: int = 0
    longest_s: float = 0.0

    @property
    def busy_share(self) -> float:
        """The part of the time that went into leases."""
        whole_s = self.busy_s + self.idle_s
        return self.busy_s / whole_s if whole_s else 0.0


@dataclass(slots=True)
class _Seat:
    """An actor as the driver sees it; leases are done in their order."""

    actor: Any
    setup: Any
    node: str | None = None
    leases: deque[tuple[Any, Lease]] = field(default_factory=deque)
    started_at: float = 0.0
    probe: Any = None
    num_done: int = 0

    def refs(self) -> list[Any]:
        """What to wait for: an answer to the probe, to the setup, or to the lease that runs."""
        first = self.leases[0][0] if self.leases else None
        ref = self.probe or (self.setup if self.node is None else first)
        return [ref] if ref is not None else []


class Engine(Generic[Result]):
    """Runs one kind of worker on a cluster that is connected already."""

    def __init__(
        self,
        worker: type[Worker[Result]],
        config: Any,
        seats: Seats,
        stop: Callable[[], bool] = lambda: False,
        deadline: float | None = None,
    ) -> None:
        """No lease is started that would not end by the deadline, in seconds of the epoch."""
        self.usage = Usage()
        self._worker, self._config, self._needs, self._stop = worker, config, seats, stop
        self._deadline = deadline
        self._seats: list[_Seat] = []
        self._fresh: Iterator[Lease] = iter(())
        self._again: deque[Lease] = deque()
        self._suspects: deque[Lease] = deque()
        self._strikes: Counter[str] = Counter()
        self._deaths = 0
        self._left = 0

    def run(self, leases: Iterable[Lease], num_leases: int) -> Iterator[Result | Outcome]:
        """The result of every lease, or why there is none; workers that come and go.

        An OSError of a worker is of the machine and not of the lease, and CannotGoOn is of all
        leases: both end the run.
        """
        self._fresh, self._left = iter(leases), num_leases
        try:
            while self._left and not self._stop():
                self._fit_seats()
                if not self._in_time(0) and not any(seat.leases for seat in self._seats):
                    yield OutOfTime(leases_left=self._left, longest_s=self.usage.longest_s)
                    return
                yield from self._wait()
        finally:
            for seat in self._seats:
                ray.kill(seat.actor)

    def _wait(self) -> Iterator[Result | Outcome]:
        seat_of = {ref: seat for seat in self._seats for ref in seat.refs()}
        if not seat_of:
            time.sleep(TICK_S)  # the cluster has no room, until a node joins
            return
        ready, _ = ray.wait(list(seat_of), num_returns=1, timeout=TICK_S)
        for ref in ready:
            yield from self._take(seat_of[ref], ref)
        limit_s = self._needs.lease_timeout_s
        for seat in list(self._seats):
            if seat.leases and time.monotonic() - seat.started_at > limit_s:
                ray.kill(seat.actor)
                yield from self._died(seat, f"no result after {limit_s:g} s")

    def _take(self, seat: _Seat, ref: Any) -> Iterator[Result | Outcome]:
        """What has come back from a seat: it is ready, a result, an exception, or its death."""
        try:
            value = ray.get(ref)
        except RayTaskError as error:
            if isinstance(error.cause, OSError | CannotGoOn):
                raise error.cause from None
            if seat.node is None:
                ray.kill(seat.actor)
                yield from self._died(seat, f"{type(error.cause).__name__}: {error.cause}")
                return
            lease = self._finished(seat)
            yield self._blame(lease, str(error.cause), str(error))
        except ActorUnavailableError:
            # A broken connection: the process, the node or the network. What the cluster says of
            # the next call is final.
            seat.probe = seat.actor.answer.remote()
        except RayError as error:
            yield from self._died(seat, str(error))
        else:
            if seat.probe is not None:
                # It lives, but nobody knows what became of its leases.
                ray.kill(seat.actor)
                yield from self._died(seat, "lost its connection", node_lost=True)
            elif seat.node is None:
                seat.node = value.node
                yield WorkerReady(host=value.host, on=value.on)
                self._feed(seat)
            else:
                self._count(seat, value)
                self._finished(seat)
                self._deaths = 0
                self._left -= 1
                yield value.result

    def _count(self, seat: _Seat, ran: Ran) -> None:
        self.usage.leases += 1
        self.usage.busy_s += ran.busy_s
        self.usage.longest_s = max(self.usage.longest_s, ran.busy_s)
        # Before its first lease a worker waits for others to load, and not for the driver.
        self.usage.idle_s += ran.idle_s if seat.num_done else 0.0
        seat.num_done += 1

    def _finished(self, seat: _Seat) -> Lease:
        """The lease that a seat is done with, however it ended; the next one has begun by now."""
        _, lease = seat.leases.popleft()
        waits = not seat.leases and not self._strikes[lease.shard]
        self._feed(seat)
        self.usage.starved += waits and bool(seat.leases)
        return lease

    def _feed(self, seat: _Seat) -> None:
        """Queue leases on a ready seat; a suspect gets a seat for itself."""
        seat.started_at = time.monotonic()
        if not seat.leases and self._suspects and self._in_time(0):
            self._queue(seat, self._suspects.popleft())
            return
        if any(self._strikes[lease.shard] for _, lease in seat.leases):
            return
        while len(seat.leases) < QUEUED and not self._stop() and self._in_time(len(seat.leases)):
            lease = self._next()
            if lease is None:
                return
            self._queue(seat, lease)

    def _in_time(self, ahead: int) -> bool:
        """Whether a lease with so many ahead of it would end before the deadline."""
        if self._deadline is None:
            return True
        return time.time() + (ahead + 1) * self.usage.longest_s < self._deadline

    def _queue(self, seat: _Seat, lease: Lease) -> None:
        ref = seat.actor.run.options(name=f"{lease.shard} #{lease.attempt}").remote(lease)
        seat.leases.append((ref, lease))

    def _next(self) -> Lease | None:
        if self._again:
            return self._again.popleft()
        return next(self._fresh, None)

    def _died(self, seat: _Seat, why: str, *, node_lost: bool = False) -> Iterator[Outcome]:
        """Replace a dead actor; blame the lease that had started, unless its node is gone."""
        self._seats.remove(seat)
        node_lost = node_lost or _node_is_gone(seat.node, why)
        yield WorkerLost(cause=_first_line(why), node_lost=node_lost)
        leases = [lease for _, lease in seat.leases]
        started, innocent = leases[:1], leases[1:]
        self._again.extend(innocent)
        if node_lost:
            self._again.extendleft(started)
            return
        for lease in started:
            yield self._blame(lease, _first_line(why), why)
        # A suspect that kills its worker again says nothing about the other workers.
        if not any(self._strikes[lease.shard] > 1 for lease in started):
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
            self._suspects.append(replace(lease, attempt=lease.attempt + 1))
        return LeaseFailed(
            shard=lease.shard,
            attempt=lease.attempt,
            error=_first_line(error),
            traceback=traceback,
            given_up=given_up,
        )

    def _fit_seats(self) -> None:
        """Feed idle seats, and start as many more as there is room and work for."""
        for seat in self._seats:
            if seat.node is not None and not seat.leases:
                self._feed(seat)
        for _ in range(min(self._room(), self._left) - len(self._seats)):
            if self._in_time(0):
                self._seats.append(self._start())

    def _room(self) -> int:
        """How many actors the cluster has room for now; nodes come and go."""
        total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        rooms = [
            total.get(kind, 0) // each
            for kind, each in (("GPU", self._needs.num_gpus), ("CPU", self._needs.num_cpus))
            if each
        ]
        return int(min([*rooms, self._needs.most or float("inf")]))

    def _start(self) -> _Seat:
        actor_class = ray.remote(
            num_gpus=self._needs.num_gpus,
            num_cpus=self._needs.num_cpus,
            max_restarts=0,
            max_task_retries=0,
        )(actor_of(self._worker))
        actor: Any = actor_class.remote(self._worker, self._config, self._needs.sign)
        return _Seat(actor, actor.setup.remote())


def _node_is_gone(node: str | None, why: str) -> bool:
    """Whether a worker ended because its node did."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    alive = any(one["NodeID"] == node and one["Alive"] for one in nodes)
    return "node has died" in why or (node is not None and not alive)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
