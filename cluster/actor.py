"""A worker in a process of its own, and what it tells the driver and Prometheus of its time."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.util.metrics import Counter, Gauge

from models.offline import stay_offline
from schemas.endings import CannotGoOn
from schemas.lease import Lease, Worker


class Sign(NamedTuple):
    """A file that the driver has just made: a node that sees it shares the driver's filesystem.

    File servers tell other nodes of a new file only after some seconds.
    """

    path: str
    within_s: float = 30.0


class Ready(NamedTuple):
    """Where a worker lives, and the stack that it computes on."""

    node: str
    host: str
    stack: dict[str, str]


class Ran(NamedTuple):
    """What came of a lease, how long its turn was, and how long nobody had had one before."""

    result: Any
    busy_s: float
    idle_s: float


class _Turns:
    """Turns in the order in which the driver handed leases over, whichever thread is faster."""

    def __init__(self) -> None:
        self.free_since = 0.0
        self._next = 0
        self._skipped: set[int] = set()
        self._changed = threading.Condition()

    def take(self, number: int) -> None:
        """Wait for this turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._next == number)

    def give_up(self, number: int) -> None:
        """End this turn, or do without it; a second time is no harm."""
        with self._changed:
            if number >= self._next:
                self._skipped.add(number)
            while self._next in self._skipped:
                self._skipped.remove(self._next)
                self._next += 1
            self._changed.notify_all()


class _Turn:
    """One lease's turn: how long it was taken, and how long nobody had it before."""

    def __init__(self, turns: _Turns, number: int) -> None:
        self._turns, self._number = turns, number
        self.busy_s = self.idle_s = 0.0

    def __enter__(self) -> None:
        self._turns.take(self._number)
        self._begun = time.monotonic()
        self.idle_s = self._begun - self._turns.free_since

    def __exit__(self, *_: object) -> None:
        self._turns.free_since = time.monotonic()
        self.busy_s = self._turns.free_since - self._begun
        self._turns.give_up(self._number)


class Actor:
    """Runs one worker; `actor_of` gives it the worker's name, which the dashboard shows."""

    def __init__(self, worker: type[Worker[Any]], config: Any, sign: Sign | None) -> None:
        stay_offline()
        self._worker = worker(config)
        self._name, self._sign = worker.__name__, sign
        self._turns = _Turns()

    def setup(self) -> Ready:
        """Get ready; CannotGoOn where this node does not see what the driver sees."""
        if self._sign is not None:
            _wait_for(self._sign)
        stack = self._worker.setup()
        self._leases = Counter("relume_leases", "leases done", ("worker",))
        self._busy = Counter("relume_busy_seconds", "seconds spent on leases", ("worker",))
        self._idle = Counter("relume_idle_seconds", "seconds between leases", ("worker",))
        self._last = Gauge("relume_lease_seconds", "seconds of the last lease", ("worker",))
        for metric in (self._leases, self._busy, self._idle, self._last):
            metric.set_default_tags({"worker": self._name})
        self._turns.free_since = time.monotonic()
        return Ready(str(ray.get_runtime_context().get_node_id()), socket.gethostname(), stack)

    def run(self, lease: Lease, number: int) -> Ran:
        """Do one lease, the first with number 0; another may be on its way at the same time."""
        turn = _Turn(self._turns, number)
        try:
            result = self._worker.run(lease, turn)
        finally:
            self._turns.give_up(number)  # where it failed before its turn came
        self._leases.inc()
        self._busy.inc(turn.busy_s)
        # A counter takes no zero.
        self._idle.inc(max(turn.idle_s, 1e-9))
        self._last.set(turn.busy_s)
        return Ran(result, turn.busy_s, turn.idle_s)

    def answer(self) -> None:
        """Show that it lives."""


def _wait_for(sign: Sign) -> None:
    give_up = time.monotonic() + sign.within_s
    while not Path(sign.path).exists():
        if time.monotonic() > give_up:
            raise CannotGoOn(
                f"{socket.gethostname()} does not see {sign.path}, which the driver has just made; "
                "the folder has to lie on a filesystem that all nodes share, under one path"
            )
        time.sleep(0.2)


def actor_of(worker: type[Worker[Any]]) -> type[Actor]:
    """An actor class that is called what the worker is called."""
    return type(worker.__name__, (Actor,), {})
