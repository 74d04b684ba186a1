"""`relume train`: trains a head, or continues where it stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from workflows.cli import DONE, Terminated, parse_known, run_verb
from workflows.console import Console, counted

if TYPE_CHECKING:
    from schemas.train import TrainConfig
    from schemas.training import TrainingEnded, TrainingEvent
    from tasks.training_samples import TrainJob
    from workflows.console import Advance


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train a head on a dataset of pairs, or continue; the head is RUN/head.

    Every setting of the preset's [train] can be given too, by its path:
    --seed 1 --optimiser.learning-rate 1e-4 --objective.lambda-cycle 2
    """

    config: tyro.conf.Positional[Path]
    """preset with a [train] section, for example configs/esa_cyclegan.toml"""
    data: Path
    """dataset of sources and targets"""
    out: Path
    """folder of the run"""
    selection: Path | None = None
    """samples to train on, from relume curate; without it all of train"""
    processes: int = 1
    """processes on this machine that train together, one per GPU; under torchrun leave it out"""
    weights: Path = Path("weights")
    """folder of published weights, where LPIPS is asked for"""


def main(argv: list[str]) -> int:
    """Train a head."""
    arguments, overrides = parse_known(Arguments, "train", argv)
    config = _config(arguments.config, overrides)
    if arguments.processes < 1:
        raise ValueError(f"--processes {arguments.processes}: should be at least 1")

    from schemas.training import TrainingEnded
    from tasks.ranks import ranks_of
    from tasks.selection_file import read_selection, selected_ids
    from tasks.training_processes import agree, train_here, train_in_processes
    from tasks.training_samples import TrainJob

    ranks, console = ranks_of(os.environ), Console()
    if ranks.count > 1 and arguments.processes > 1:
        raise ValueError(
            f"--processes {arguments.processes}: torchrun has started {ranks.count} already; "
            "leave it out"
        )
    selection = None
    if arguments.selection is not None:
        selection = selected_ids(read_selection(arguments.selection, arguments.data))
    job = TrainJob(
        config=config,
        dataset=arguments.data.absolute(),
        run=arguments.out.absolute(),
        selection=selection,
        weights=arguments.weights.absolute(),
    )
    if ranks.first:
        for difference in agree(job, max(ranks.count, arguments.processes), arguments.selection):
            console.warn(f"begun elsewhere, so weights may differ in the last digits: {difference}")
    with _stop_asked() as asked:
        stop = lambda: asked.number is not None  # noqa: E731
        if arguments.processes > 1:
            events = train_in_processes(job, arguments.processes, stop)
        else:
            events = train_here(job, ranks, stop)
        if ranks.first:
            ended = _watch(console, job, events)
        else:
            ended = [event for event in events if isinstance(event, TrainingEnded)][-1]
        if ended.how == "stopped":
            raise Terminated("SIGTERM") if asked.number == signal.SIGTERM else KeyboardInterrupt
    return DONE


def _config(path: Path, words: list[str]) -> TrainConfig:
    from schemas.overrides import parse_overrides
    from schemas.train import TrainConfig, train_config

    return train_config(path, parse_overrides(TrainConfig, words))


@dataclass
class _Asked:
    number: int | None = None


@contextmanager
def _stop_asked() -> Iterator[_Asked]:
    """SIGTERM and Ctrl-C are kept until a step is done; a second Ctrl-C does not wait."""
    asked = _Asked()

    def ask(number: int, _: object) -> None:
        if asked.number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.number = number

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(console: Console, job: TrainJob, events: Iterator[TrainingEvent]) -> TrainingEnded:
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
    console.note(f"next: relume enhance {head} PICTURES --out FOLDER")


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
