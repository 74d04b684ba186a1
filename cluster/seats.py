"""What the engine keeps of its workers: what one needs, what it is at, how its time is spent."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from cluster.actor import Ran, Sign, actor_of
from schemas.lease import Lease, Worker

# One lease in its turn, one that is being finished, and a call that asks whether it lives.
AT_ONCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """What a worker needs, and how many there may be."""

    num_gpus: float = 0.0
    num_cpus: float = 1.0
    most: int | None = None
    lease_timeout_s: float = 3600.0
    # Loading from a busy file server may take longer than any lease.
    setup_timeout_s: float = 3600.0
    sign: Sign | None = None

    def lacking(self) -> str | None:
        """What the cluster has none of that a worker needs; None where it has room for one."""
        if self.room():
            return None
        total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        there = f"{total.get('GPU', 0):g} GPUs and {total.get('CPU', 0):g} processors"
        return (
            f"a worker needs {self.num_gpus:g} GPUs and {self.num_cpus:g} processors, "
            f"there are {there}"
        )

    def room(self) -> int:
        """How many workers the cluster has room for now; nodes come and go."""
        total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        rooms = [
            total.get(kind, 0) // each
            for kind, each in (("GPU", self.num_gpus), ("CPU", self.num_cpus))
            if each
        ]
        if self.most is not None:
            rooms.append(self.most)
        return int(min(rooms))


@dataclass(slots=True)
class Usage:
    """How the time of all workers was spent, between their first lease and their last."""

    leases: int = 0
    busy_s: float = 0.0
    idle_s: float = 0.0
    longest_s: float = 0.0
    # How often a worker was done before its next lease had been queued.
    starved: int = 0

    def count(self, ran: Ran, *, first: bool) -> None:
        """Add a lease; before its first one a worker waits for others to load, for no driver."""
        self.leases += 1
        self.busy_s += ran.busy_s
        self.idle_s += 0.0 if first else ran.idle_s
        self.longest_s = max(self.longest_s, ran.busy_s)

    @property
    def busy_share(self) -> float:
        """The part of the time that went into leases."""
        whole_s = self.busy_s + self.idle_s
        return self.busy_s / whole_s if whole_s else 0.0


@dataclass(slots=True)
class Seat:
    """An actor as the driver sees it; leases are done in their order."""

    actor: Any
    # Answered once the cluster has had room for it.
    placed: Any
    setup: Any = None
    node: str | None = None
    leases: deque[tuple[Any, Lease]] = field(default_factory=deque)
    started_at: float = field(default_factory=time.monotonic)
    probe: Any = None
    num_done: int = 0
    num_queued: int = 0

    @classmethod
    def start(cls, worker: type[Worker[Any]], config: Any, needs: Seats) -> Seat:
        """A new actor, which begins to load when the cluster has room for it."""
        actor_class = ray.remote(
            num_gpus=needs.num_gpus,
            num_cpus=needs.num_cpus,
            max_restarts=0,
            max_task_retries=0,
        )(actor_of(worker))
        actor: Any = actor_class.options(max_concurrency=AT_ONCE).remote(worker, config, needs.sign)
        return cls(actor, actor.answer.remote())

    def load(self) -> None:
        """Have it load what it needs, now that it has a place."""
        self.setup = self.actor.setup.remote()
        self.started_at = time.monotonic()

    @property
    def pending(self) -> bool:
        """Whether the cluster has had no room for it yet."""
        return self.setup is None

    @property
    def idle(self) -> bool:
        """Whether it is ready and has nothing to do."""
        return self.node is not None and not self.leases and self.probe is None

    def ref(self) -> Any:
        """What to wait for: an answer to the probe, to the setup, or to the lease that runs."""
        if self.probe is not None:
            return self.probe
        if self.pending:
            return self.placed
        if self.node is None:
            return self.setup
        return self.leases[0][0] if self.leases else None

    def ask_whether_it_lives(self) -> None:
        """Make a call whose answer, or failure, is certain."""
        self.probe = self.actor.answer.remote()

    def queue(self, lease: Lease) -> None:
        """Hand over a lease, to be done after those before it."""
        if not self.leases:
            self.started_at = time.monotonic()
        ref = self.actor.run.options(name=f"{lease.shard} #{lease.attempt}").remote(
            lease, self.num_queued
        )
        self.num_queued += 1
        self.leases.append((ref, lease))

    def finished(self) -> Lease:
        """Take off the first lease; the next one has begun by now."""
        self.started_at = time.monotonic()
        self.num_done += 1
        return self.leases.popleft()[1]

    def overdue(self, needs: Seats) -> bool:
        """Whether what it is at takes too long; to wait for room is no work."""
        if self.pending or (self.node is not None and not self.leases):
            return False
        limit_s = needs.setup_timeout_s if self.node is None else needs.lease_timeout_s
        return time.monotonic() - self.started_at > limit_s

    def end(self) -> None:
        """Make sure that it lives no more."""
        # A bare call on a closed connection would start another Ray.
        if ray.is_initialized():
            with contextlib.suppress(RayError):
                ray.kill(self.actor)
