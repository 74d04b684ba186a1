"""How a verb fills a part of a dataset with shards, whatever makes them.

Takes charge of the part, says what is outstanding, publishes what an engine yields, and notes what
happened. Knows neither the task nor the engine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from schemas.event import Event
from schemas.lease import LeaseFailed, StagedShard, WorkerLost
from schemas.part import WHOLE
from shards import events, filesystem, layout
from shards.check_shard import MEND
from shards.owner import Owner
from shards.publish import (
    Publisher,
    SetAside,
    ShardTaken,
    published,
    quarantine,
    quarantined,
    set_aside,
    set_aside_broken,
)
from shards.verify import verify
from workflows.console import Console, counted

# Long enough for the slowest small write of another driver, short against a night's run.
OLD_TEMPORARY_S = 3600.0


class Filling:
    """One run of a verb over one part of a dataset."""

    def __init__(
        self, dataset: Path, shards: Sequence[str], owner: Owner, console: Console
    ) -> None:
        self.shards = [shard for n, shard in enumerate(shards) if owner.part.has(n)]
        self.made = Counter[str]()
        self._dataset, self._owner, self._console = dataset, owner, console
        self._begun = time.monotonic()

    def take_charge(self) -> None:
        """Say who was taken over, and set aside what a killed driver left."""
        self.note("run-started", part=str(self._owner.part))
        for holder in self._owner.took_over:
            self._console.note(
                f"process {holder.pid} on {holder.host} is gone; this one takes over"
            )
            self.note("took-over", host=holder.host, pid=holder.pid, job=holder.job)
        self._tell_set_aside(set_aside_broken(self._dataset, self.shards))
        self._sweep_staging()

    def mend(self) -> None:
        """Set aside whatever verification finds wrong, so that it is made again."""
        only = None if self._owner.part == WHOLE else set(self.shards)
        with self._console.progress("verifying", "shards") as advance:
            problems = list(verify(self._dataset, lambda c: advance(c.shards, c.of), only=only))
        wrong = {problem.where: problem.what for problem in problems if problem.mend == MEND}
        for where, what in wrong.items():
            self.set_aside(where, what)

    def set_aside(self, where: str, what: str) -> None:
        """Move a shard or a file to the quarantine, and say so."""
        self._tell_set_aside([set_aside(self._dataset, where, what)])

    def outstanding(self, *, retry_failed: bool) -> list[str]:
        """Shards of the part that do not exist; those given up before only when asked for."""
        done = published(self._dataset, self.shards)
        given_up = self.given_up()
        skipped = [shard for shard in given_up if shard not in done and not retry_failed]
        if skipped:
            self._console.warn(
                f"{counted(len(skipped), 'shard')} given up before and left out, for example "
                f"{skipped[0]}: {given_up[skipped[0]]}. --retry-failed takes up what was given up"
            )
        return [shard for shard in self.shards if shard not in done and shard not in skipped]

    def given_up(self) -> dict[str, str]:
        """Shards whose leases were given up, with the last error."""
        return {
            why["shard"]: why["error"]
            for why in quarantined(self._dataset)
            if why["kind"] == "lease" and why["shard"] in self.shards
        }

    def publish(
        self, outcomes: Iterable[StagedShard | LeaseFailed | WorkerLost], num_samples: int
    ) -> None:
        """Publish what an engine yields, and set aside what it gives up."""
        publisher = Publisher(self._dataset, self._owner)
        with self._console.progress("making", "samples", num_samples) as advance:
            try:
                for outcome in outcomes:
                    self._take(publisher, outcome)
                    advance(self.made["samples"])
            except KeyboardInterrupt as stop:
                why = str(stop) or "Ctrl-C"
                self.note("run-stopped", why=why, shards=self.made["shards"])
                raise

    def finish(self) -> float:
        """Note the end; seconds since the start."""
        seconds = time.monotonic() - self._begun
        self.note("run-finished", seconds=round(seconds, 3))
        return seconds

    def note(self, kind: Any, **facts: Any) -> None:
        """Append an event."""
        own = {key: facts.pop(key) for key in ("shard", "attempt", "seconds") if key in facts}
        events.append(self._dataset, self._owner.part, Event(kind=kind, facts=facts, **own))

    def _tell_set_aside(self, asides: Iterable[SetAside]) -> None:
        for aside in asides:
            folder = aside.folder.relative_to(self._dataset)
            self._console.warn(f"{aside.where}: {aside.reason}; set aside in {folder}")
            self.note("set-aside", where=aside.where, reason=aside.reason)

    def _sweep_staging(self) -> None:
        """Remove what killed attempts at this part's shards left half-staged."""
        mine = {layout.staging_name(shard) for shard in self.shards}
        for folder in (self._dataset / filesystem.STAGING).glob("*.*"):
            if folder.name.rpartition(".")[0] in mine:
                filesystem.remove_staged(folder)
        filesystem.remove_old_temporaries(self._dataset, OLD_TEMPORARY_S)

    def _take(self, publisher: Publisher, outcome: StagedShard | LeaseFailed | WorkerLost) -> None:
        if isinstance(outcome, StagedShard):
            self._publish_one(publisher, outcome)
        elif isinstance(outcome, LeaseFailed):
            self._lease_failed(outcome)
        else:
            self._worker_lost(outcome)

    def _publish_one(self, publisher: Publisher, staged: StagedShard) -> None:
        done = staged.done
        try:
            publisher.commit(staged)
        except ShardTaken as error:
            self._console.warn(str(error))
            self.note("shard-taken", shard=done.shard, attempt=staged.attempt, error=str(error))
            return
        self.made.update(shards=1, samples=done.planned, failed=done.failed, bytes=done.tar.bytes)
        self.note(
            "shard-published",
            shard=done.shard,
            attempt=staged.attempt,
            seconds=round(staged.seconds, 3),
            ok=done.ok,
            **{f"failed: {reason}": count for reason, count in staged.failures.items()},
        )

    def _worker_lost(self, lost: WorkerLost) -> None:
        what = "a node" if lost.node_lost else "a worker"
        self._console.warn(f"{what} was lost and is replaced: {lost.cause}")
        self.note("worker-lost", cause=lost.cause, node_lost=lost.node_lost)

    def _lease_failed(self, failed: LeaseFailed) -> None:
        facts = {"shard": failed.shard, "attempt": failed.attempt, "error": failed.error}
        if not failed.given_up:
            self.note("lease-failed", **facts)
            return
        folder = quarantine(
            self._dataset, {"kind": "lease", **facts, "traceback": failed.traceback}
        )
        where = folder.relative_to(self._dataset) / layout.WHY
        self._console.warn(f"{failed.shard}: given up after {failed.error}; see {where}")
        self.note("lease-quarantined", **facts)
