"""Trains and shows how it goes: the same callable on this machine and in a Slurm job.

Loads torch only when it is called, so that a job hears signals before that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.place import Ending, Place
from schemas.train import TrainConfig
from workflows.console import Console, counted

if TYPE_CHECKING:
    from schemas.training import TrainingEnded, TrainingEvent
    from tasks.ranks import Ranks
    from tasks.training_samples import TrainJob
    from workflows.console import Advance


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTraining:
    """What a training run is told on the command line."""

    config: TrainConfig
    dataset: Path
    run: Path
    selection: Path | None
    weights: Path
    stage_to: Path | None = None

    def job(self) -> TrainJob:
        """What a training process is told."""
        from tasks.selection_file import read_selection, selected_ids
        from tasks.training_samples import TrainJob

        selection = None
        if self.selection is not None:
            selection = selected_ids(read_selection(self.selection, self.dataset))
        return TrainJob(
            config=self.config,
            dataset=self.dataset,
            run=self.run,
            selection=selection,
            weights=self.weights,
        )

    def agree(self, processes: int, console: Console) -> None:
        """Fix what the run is made by, or agree with what is fixed."""
        from tasks.training_processes import agree

        for difference in agree(self.job(), processes, self.selection):
            console.warn(f"begun elsewhere, so weights may differ in the last digits: {difference}")

    def num_steps(self, processes: int) -> int:
        """Steps of the whole run with so many processes."""
        from tasks.ranks import Ranks
        from tasks.training_samples import TrainingSamples

        return TrainingSamples(self.job(), Ranks(0, processes, 0)).num_steps()

    def here(self, processes: int, ranks: Ranks, stop: Callable[[], bool]) -> Ending:
        """Train on this machine."""
        from tasks.training_processes import train_here, train_in_processes

        console = Console()
        if ranks.first:
            self.agree(max(ranks.count, processes), console)
        job = self._staged(ranks, console)
        if processes > 1:
            return watch(console, job, train_in_processes(job, processes, stop)).how
        events = train_here(job, ranks, stop)
        return watch(console, job, events).how if ranks.first else _last(events).how

    def __call__(
        self, place: Place, stop: Callable[[], bool], saved: Callable[[int], None]
    ) -> Ending:
        """Train as one of the processes that were started together."""
        from tasks.meeting import meet
        from tasks.ranks import Ranks
        from tasks.training_processes import train_here

        ranks = Ranks(place.rank, place.count, place.local_rank)
        console = Console()
        if ranks.first:
            self.agree(ranks.count, console)
        job = self._staged(ranks, console)
        events = _telling(train_here(job, ranks, stop, meet(place)), saved)
        return watch(console, job, events).how if ranks.first else _last(events).how

    def _staged(self, ranks: Ranks, console: Console) -> TrainJob:
        from dataclasses import replace

        job = self.job()
        if self.stage_to is None:
            return job
        from tasks.stage_dataset import stage_dataset

        staged = stage_dataset(job, self.stage_to)
        if ranks.first:
            console.note(f"reads {counted(staged.shards, 'shard')} from {staged.folder}")
        return replace(job, dataset=staged.folder)


def watch(console: Console, job: TrainJob, events: Iterator[TrainingEvent]) -> TrainingEnded:
    """Draw what happens; how it ended."""
    from schemas.training import TrainingEnded, TrainingStarted

    started = next(events)
    assert isinstance(started, TrainingStarted)
    steps_left = started.steps - started.steps_done
    console.note(
        f"{counted(started.samples, 'sample')}, {started.parameters:,} parameters, "
        f"{counted(started.epochs, 'epoch')} of {started.steps // started.epochs:,} steps, "
        f"on {started.device}"
    )
    if started.steps_done:
        console.note(f"continues after step {started.steps_done:,} of {started.steps:,}")
    with console.progress("training", "steps", steps_left) as advance:
        for event in events:
            if isinstance(event, TrainingEnded):
                ended = event
            else:
                _draw(console, event, advance, started.steps_done)
    _tell_end(console, job, ended)
    return ended


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


def _draw(console: Console, event: TrainingEvent, advance: Advance, steps_before: int) -> None:
    from schemas.training import Alarm, EpochEnded, LeftOut, Stepped

    match event:
        case Stepped():
            loss = event.losses.get("loss")
            told = "" if loss is None else f"loss {loss:.3f}, "
            also = f"{told}{event.images_per_s:,.1f} images/s"
            advance(event.steps_done - steps_before, also=also)
        case EpochEnded() if event.measured:
            values = ", ".join(f"{name} {value:.3f}" for name, value in event.measured.items())
            best = ", the best so far" if event.best else ""
            console.note(f"epoch {event.epoch}: {values}{best}")
        case LeftOut():
            console.warn(f"{event.sample}: {event.why}; another one stood in for it")
        case Alarm():
            console.warn(event.what)


def _tell_end(console: Console, job: TrainJob, ended: TrainingEnded) -> None:
    head = job.run / "head"
    if ended.how == "stopped":
        console.note(f"{job.run}: stopped after step {ended.steps_done:,}, state saved")
        return
    how = {"finished": "all epochs are done", "converged": "nothing better for a while"}[ended.how]
    console.heading(f"{job.run}: {how}")
    console.facts({"head": head, "epochs": ended.epoch, "steps": f"{ended.steps_done:,}"})
    console.note(f"next: look at {job.run / 'grids'}: source, output and target of each epoch")
