"""Trains and shows how it goes: the same callable on this machine and in a Slurm job.

Loads torch only when it is called, so that a job hears signals before that.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from schemas.endings import CannotGoOn
from schemas.place import Ending, Place
from workflows.console import Console, counted

if TYPE_CHECKING:
    from schemas.training import TrainingEnded, TrainingEvent
    from shards.owner import Owner
    from tasks.training.course import Job
    from tasks.training.ranks import Ranks
    from workflows.console import Advance

_POLL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTraining(ABC):
    """What a training run is told on the command line; a subclass knows what is trained."""

    verb: ClassVar[str]
    """what a person types for it"""
    leaves: ClassVar[str]
    """what others use of RUN"""
    hint: ClassVar[str]
    """what of RUN to look at next: a name, and what it shows"""

    run: Path
    stage_to: Path | None = None

    @property
    @abstractmethod
    def reads(self) -> tuple[Path, ...]:
        """What nodes have to see beside the run's folder."""

    @abstractmethod
    def job(self) -> Job:
        """What a training process is told."""

    def agree(self, processes: int, console: Console) -> None:
        """Fix what the run is made by, or agree with what is fixed."""
        from tasks.training.processes import agree

        for difference in agree(self.job(), processes):
            console.warn(f"begun elsewhere, so weights may differ in the last digits: {difference}")

    def num_steps(self, processes: int) -> int:
        """Steps of the whole run with so many processes."""
        return self.job().num_steps(processes)

    def here(self, processes: int, ranks: Ranks, stop: Callable[[], bool]) -> Ending:
        """Train on this machine."""
        from tasks.training.processes import train_here, train_in_processes

        console = Console()
        with self._owned(ranks) as owner:
            if ranks.first:
                self.agree(max(ranks.count, processes), console)
            job = self._staged(ranks, console)
            if processes > 1:
                events = train_in_processes(job, processes, stop)
            else:
                events = train_here(job, ranks, stop)
            events = _checking(events, owner)
            return watch(console, self, events).how if ranks.first else _last(events).how

    def __call__(
        self, place: Place, stop: Callable[[], bool], saved: Callable[[int], None]
    ) -> Ending:
        """Train as one of the processes that were started together."""
        from models.offline import stay_offline
        from tasks.training.meeting import meet
        from tasks.training.processes import train_here
        from tasks.training.ranks import Ranks

        stay_offline()
        ranks = Ranks(place.rank, place.count, place.local_rank)
        console = Console()
        with self._owned(ranks, stop) as owner:
            if ranks.first:
                self.agree(ranks.count, console)
            job = self._staged(ranks, console)
            events = _telling(train_here(job, ranks, stop, meet(place)), saved)
            events = _checking(events, owner)
            return watch(console, self, events).how if ranks.first else _last(events).how

    @contextmanager
    def _owned(
        self, ranks: Ranks, stop: Callable[[], bool] | None = None
    ) -> Iterator[Owner | None]:
        """The right to write the run, where this process speaks for all; ValueError tells whose.

        With `stop`, which a job has, one that was killed lately is waited for.
        """
        from shards.owner import Owner
        from tasks.training.processes import refuse_foreign

        if not ranks.first:
            yield None
            return
        refuse_foreign(self.run)
        with Owner(self.run) if stop is None else owner_once_free(self.run, stop) as owner:
            yield owner

    def _staged(self, ranks: Ranks, console: Console) -> Job:
        job = self.job()
        if self.stage_to is None:
            return job
        from tasks.training.stage_dataset import stage_dataset

        staged = stage_dataset(job, self.stage_to)
        if ranks.first:
            console.note(f"reads {counted(staged.shards, 'shard')} from {staged.folder}")
        return job.reading(staged.folder)


def owner_once_free(run: Path, stop: Callable[[], bool]) -> Owner:
    """The right to write a run, once the job before this one is silent for long enough.

    CannotGoOn when it is asked to stop before; ValueError tells who goes on writing.
    """
    from shards.owner import SILENT_S, Held, Owner

    limit, is_told = time.monotonic() + SILENT_S + 30.0, False
    while True:
        try:
            return Owner(run)
        except Held as error:
            if time.monotonic() > limit:
                raise
            if stop():
                raise CannotGoOn(str(error)) from None
            if not is_told:
                Console().note(f"waits: {error}")
                is_told = True
        time.sleep(_POLL_S)


def watch(console: Console, work: RunTraining, events: Iterator[TrainingEvent]) -> TrainingEnded:
    """Draw what happens; how it ended."""
    from schemas.training import TrainingEnded, TrainingStarted

    started = next(events)
    assert isinstance(started, TrainingStarted)
    steps_left = started.steps - started.steps_done
    console.note(
        f"{counted(started.samples, 'sample')}, {started.parameters:,} parameters, "
        f"{counted(started.epochs, 'epoch')}, {counted(started.steps, 'step')} in all, "
        f"on {started.device}"
    )
    if started.outside:
        outside = counted(started.outside, "sample")
        console.note(f"leaves out {outside} of the selection, as not of train")
    if started.steps_done == started.steps:
        console.note(f"all {counted(started.steps, 'step')} were done before")
    elif started.steps_done:
        console.note(f"continues after step {started.steps_done:,} of {started.steps:,}")
    with console.progress("training", "steps", steps_left) as advance:
        draw = _Drawing(console, advance, started.steps_done)
        for event in events:
            if isinstance(event, TrainingEnded):
                ended = event
            else:
                draw(event)
    _tell_end(console, work, ended)
    return ended


def _checking(events: Iterator[TrainingEvent], owner: Owner | None) -> Iterator[TrainingEvent]:
    """The same events; OwnerLost where another start has taken the run over."""
    from schemas.training import StateSaved

    for event in events:
        if owner is not None and isinstance(event, StateSaved):
            owner.check()
        yield event


def _telling(
    events: Iterator[TrainingEvent], saved: Callable[[int], None]
) -> Iterator[TrainingEvent]:
    from schemas.training import StateSaved

    for event in events:
        if isinstance(event, StateSaved):
            saved(event.steps_done)
        yield event


def _last(events: Iterator[TrainingEvent]) -> TrainingEnded:
    from schemas.training import TrainingEnded

    return [event for event in events if isinstance(event, TrainingEnded)][-1]


class _Drawing:
    """What a person sees of each event."""

    def __init__(self, console: Console, advance: Advance, steps_before: int) -> None:
        self._console, self._advance, self._steps_before = console, advance, steps_before
        self._also = ""

    def __call__(self, event: TrainingEvent) -> None:
        from schemas.training import Alarm, EpochEnded, LeftOut, Progressed, Stepped

        match event:
            case Progressed():
                self._advance(event.steps_done - self._steps_before, also=self._also)
            case Stepped():
                loss = event.losses.get("loss")
                told = "" if loss is None else f"loss {_shown(loss)}, "
                self._also = f"{told}{event.images_per_s:,.1f} images/s"
            case EpochEnded() if event.measured:
                values = ", ".join(
                    f"{name} {_shown(value)}" for name, value in event.measured.items()
                )
                best = ", the best so far" if event.best else ""
                self._console.note(f"epoch {event.epoch}: {values}{best}")
            case LeftOut():
                self._console.warn(f"{event.sample}: {event.why}; another one stands in for it")
            case Alarm():
                self._console.warn(event.what)


def _shown(value: float) -> str:
    """Three digits that say something: a loss may be 1e-4."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _tell_end(console: Console, work: RunTraining, ended: TrainingEnded) -> None:
    run = work.run
    if ended.left_out:
        times = counted(ended.left_out, "time")
        console.warn(f"{times} another picture stood in for one that was left out")
    if ended.how == "stopped":
        console.note(f"{run}: stopped after step {ended.steps_done:,}, state saved")
        return
    how = {"finished": "all epochs are done", "converged": "nothing better for a while"}[ended.how]
    console.heading(f"{run}: {how}")
    steps = f"{ended.steps_done:,}"
    console.facts({work.leaves: run / work.leaves, "epochs": ended.epoch, "steps": steps})
    console.note(f"next: look at {run / work.hint}")
