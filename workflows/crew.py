"""Who is at work in a run of a verb: counts the workers, and says what becomes of them.

Knows neither shards nor leases.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from schemas.endings import CannotGoOn
from schemas.lease import Waited, WorkerLost, WorkerReady
from shards.provenance import code_version
from shards.record_file import differences
from workflows.console import Console, counted

# Ray starts workers in some seconds; only then is it worth a word that there are none.
FIRST_WAIT_S, TELL_WAITING_S = 20.0, 60.0


class Crew:
    """The workers of one run; `note` appends an event."""

    def __init__(self, console: Console, note: Callable[..., None]) -> None:
        self.num = self.most = 0
        self._console, self._note = console, note
        self._expected: dict[str, str] = {}
        self._told: set[str] = set()
        self._code = code_version()
        self._tell_waiting_at = time.monotonic() + FIRST_WAIT_S

    def expect(self, stack: Mapping[str, str]) -> None:
        """What every worker should be like: code, libraries, processor."""
        self._expected = dict(stack)

    def ready(self, ready: WorkerReady) -> None:
        """One is there; CannotGoOn where it runs other code than this driver."""
        self.num += 1
        self.most = max(self.most, self.num)
        self._note("worker-ready", host=ready.host, **ready.stack)
        code, ours = ready.stack.get("code", self._code), self._code
        if code != ours:
            raise CannotGoOn(
                f"{ready.host} runs other code ({code[:8]}) than this driver ({ours[:8]}): start "
                "both from one checkout, which lies under the same path on all nodes, or submit "
                "it with ray job submit --working-dir ."
            )
        # Where nothing is expected of the processor, the first worker says what it is to be.
        self._expected = {**ready.stack, **self._expected}
        different = "; ".join(differences(self._expected, ready.stack))
        if different and different not in self._told:
            self._told.add(different)
            self._console.warn(f"bytes may differ in the last digits: {different}")
            self._note("stack-differs", host=ready.host, differences=different)

    def waited(self, waited: Waited) -> None:
        """The bar goes on; where nobody works since the cluster has no room, that is told."""
        if waited.workers or time.monotonic() < self._tell_waiting_at:
            return
        self._tell_waiting_at = time.monotonic() + TELL_WAITING_S
        if waited.lacking:
            self._console.warn(f"no worker yet, waiting for nodes: {waited.lacking}")
        elif waited.pending:
            what = counted(waited.pending, "worker")
            self._console.note(f"{what} waiting for a place beside the work of others")

    def lost(self, lost: WorkerLost) -> None:
        """One is gone."""
        self.num -= lost.was_ready
        what = "a node" if lost.node_lost else "a worker"
        self._console.warn(f"{what} was lost and is replaced: {lost.cause}")
        self._note("worker-lost", cause=lost.cause, node_lost=lost.node_lost)
