"""How a verb fills a part of a dataset with shards, whatever makes them.

Takes charge of the part, says what is outstanding, publishes what an engine yields, and notes what
happened. Knows neither the task nor the engine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from schemas.endings import ends_the_run
from schemas.event import Event
from schemas.lease import (
    LeaseFailed,
    Outcome,
    OutOfTime,
    StagedShard,
    Waited,
    WorkerLost,
    WorkerReady,
    error_line,
)
from schemas.part import WHOLE
from schemas.run import Making
from shards import events, filesystem, layout
from shards.check_shard import MEND
from shards.owner import Owner
from shards.publish import (
    Publisher,
    ShardTaken,
    broken,
    given_up,
    published,
    quarantine,
    set_aside,
)
from shards.verify import verify
from workflows.cli import why_stopped
from workflows.console import Console, counted
from workflows.crew import Crew

# Long enough for the slowest small write of another driver, short against a night's run.
OLD_TEMPORARY_S = 3600.0


class Filling:
    """One run of a verb over one part of a dataset."""

    def __init__(
        self, dataset: Path, shards: Sequence[str], owner: Owner, console: Console
    ) -> None:
        self.shards = [shard for n, shard in enumerate(shards) if owner.part.has(n)]
        self.made = Counter[str]()
        self.unmended = 0
        self.worker_s = 0.0
        self._dataset, self._owner, self.console = dataset, owner, console
        self._begun = time.monotonic()
        self.crew = Crew(console, self.note)

    @property
    def sign(self) -> Path:
        """A file that the driver has made: who sees it shares the driver's filesystem."""
        return self._owner.sign

    def take_charge(self) -> None:
        """Say who was taken over, and set aside what a killed driver left."""
        self.note("run-started", part=str(self._owner.part))
        for holder in self._owner.took_over:
            self.console.note(f"process {holder.pid} on {holder.host} is gone; this one takes over")
            self.note("took-over", host=holder.host, pid=holder.pid, job=holder.job)
        for shard, reason in broken(self._dataset, self.shards):
            self.set_aside(shard, reason)
        self._sweep_staging()

    @contextmanager
    def noting_its_end(self) -> Iterator[None]:
        """Note why the block ended early, if it did; where nothing can be written, nobody can."""
        try:
            yield
        except BaseException as stop:
            asked = isinstance(stop, KeyboardInterrupt)
            why = why_stopped() if asked else error_line(stop)
            with suppress(OSError):
                self.note("run-stopped", why=why, shards=self.made["shards"])
            raise

    def mend(self, fingerprint: str) -> None:
        """Set aside whatever verification finds wrong with shards, so that they are made again."""
        only = None if self._owner.part == WHOLE else set(self.shards)
        with self.console.progress("verifying", "shards") as advance:
            found = verify(
                self._dataset,
                lambda checked: advance(checked.shards, checked.of),
                only=only,
                fingerprint=fingerprint,
            )
            problems = list(found)
        wrong = {one.where: one.what for one in problems if one.mend == MEND}
        for where, what in wrong.items():
            self.set_aside(where, what)
        for one in problems:
            if one.kind == "unreadable":
                self.unmended += 1
                self.console.warn(f"{one.where}: {one.what}; nobody knows whether it is damaged")

    def set_aside(self, where: str, what: str) -> None:
        """Move a shard or a file to the quarantine, and say so."""
        # A driver that slept through its own takeover would set aside what its successor made.
        self._owner.check()
        folder = set_aside(self._dataset, where, what).relative_to(self._dataset)
        self.console.warn(f"{where}: {what}; set aside in {folder}")
        self.note("set-aside", where=where, reason=what)

    def outstanding(
        self,
        agreed: Making,
        *,
        retry_failed: bool,
        mend: str,
        made_by: Callable[[str], str] | None = None,
    ) -> list[str]:
        """Shards of the part that do not exist; those given up before only when asked for.

        `mend` says what to do about a shard of another making; `made_by` tells each shard's own,
        where a folder holds shards of several.
        """
        self.crew.expect(agreed.may_differ())
        done = published(self._dataset, self.shards)
        for shard, facts in done.items():
            if facts.made_by != (made_by(shard) if made_by else agreed.fingerprint()):
                raise ValueError(
                    f"{shard}: was made with other settings, models or numerics than "
                    f"{agreed.record}.json says; {mend}"
                )
        given_up = self.given_up()
        skipped = [shard for shard in given_up if shard not in done and not retry_failed]
        if skipped:
            self.console.warn(
                f"{counted(len(skipped), 'shard')} given up before and left out, for example "
                f"{skipped[0]}: {given_up[skipped[0]]}. --retry-failed takes up what was given up"
            )
        left_out = {*done, *skipped}
        return [shard for shard in self.shards if shard not in left_out]

    def given_up(self) -> dict[str, str]:
        """Shards of the part whose leases were given up, with the last error."""
        mine = set(self.shards)
        return {shard: error for shard, error in given_up(self._dataset).items() if shard in mine}

    def publish(
        self,
        outcomes: Iterable[StagedShard | Outcome],
        num_samples: int,
        busy_share: Callable[[], float] | None = None,
        what: str = "making",
        unit: str = "samples",
    ) -> None:
        """Publish what an engine yields, and set aside what it gives up."""
        publisher = Publisher(self._dataset, self._owner)
        with self.console.progress(what, unit, num_samples) as advance:
            for outcome in outcomes:
                self._take(publisher, outcome)
                also = counted(self.crew.num, "worker")
                if busy_share and self.made["shards"]:
                    also += f" {busy_share():.1%} busy"
                advance(self.made["samples"], also=also)

    def _take(self, publisher: Publisher, outcome: StagedShard | Outcome) -> None:
        match outcome:
            case StagedShard():
                self._publish_one(publisher, outcome)
            case LeaseFailed():
                self._lease_failed(outcome)
            case WorkerReady():
                self.crew.ready(outcome)
            case WorkerLost():
                self.crew.lost(outcome)
            case OutOfTime():
                self._out_of_time(outcome)
            case Waited():
                self.crew.waited(outcome)

    def finish(self) -> float:
        """Note the end; seconds since the start."""
        seconds = time.monotonic() - self._begun
        self.note("run-finished", seconds=round(seconds, 3))
        return seconds

    def note(self, kind: Any, **facts: Any) -> None:
        """Append an event."""
        own = {key: facts.pop(key) for key in ("shard", "attempt", "seconds") if key in facts}
        events.append(self._dataset, self._owner.part, Event(kind=kind, facts=facts, **own))

    def _sweep_staging(self) -> None:
        """Remove what killed attempts at this part's shards left half-staged."""
        mine = {layout.staging_name(shard) for shard in self.shards}
        for folder in (self._dataset / filesystem.STAGING).glob("*.*"):
            if folder.name.rpartition(".")[0] in mine:
                filesystem.remove_staged(folder)
        filesystem.remove_old_temporaries(self._dataset, OLD_TEMPORARY_S)

    def _publish_one(self, publisher: Publisher, staged: StagedShard) -> None:
        done = staged.done
        try:
            with ends_the_run():
                publisher.commit(staged)
        except ShardTaken as error:
            self.console.warn(str(error))
            self.note("shard-taken", shard=done.shard, attempt=staged.attempt, error=str(error))
            return
        self.worker_s += staged.seconds
        self.made.update(shards=1, samples=done.planned, failed=done.failed, bytes=done.num_bytes)
        self.note(
            "shard-published",
            shard=done.shard,
            attempt=staged.attempt,
            seconds=round(staged.seconds, 3),
            ok=done.ok,
            **{f"failed: {reason}": count for reason, count in staged.failures.items()},
            **staged.told,
        )

    def _out_of_time(self, out: OutOfTime) -> None:
        why = "the deadline is nearer than the time that a shard takes"
        if not self.made["shards"]:
            why = "the deadline came before a shard was made, also because of what loading takes"
        left = f"{counted(out.leases_left, 'shard')} left for the next run of the same command"
        self.console.warn(f"{why}; {left}")
        self.note("out-of-time", left=out.leases_left, longest_s=round(out.longest_s, 3))

    def _lease_failed(self, failed: LeaseFailed) -> None:
        facts = {"shard": failed.shard, "attempt": failed.attempt, "error": failed.error}
        if not failed.given_up:
            self.note("lease-failed", **facts)
            return
        folder = quarantine(
            self._dataset, {"kind": "lease", **facts, "traceback": failed.traceback}
        )
        where = folder.relative_to(self._dataset) / layout.WHY
        self.console.warn(f"{failed.shard}: given up after {failed.error}; see {where}")
        self.note("lease-quarantined", **facts)
