"""What verbs that train have in common: where to train, how to be asked to stop, how to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workflows.cli import DONE, Terminated

if TYPE_CHECKING:
    from schemas.slurm import SlurmSettings
    from workflows.run_training import RunTraining


@dataclass(frozen=True, kw_only=True)
class TrainingPlace:
    """Where and how a verb trains."""

    processes: int = 1
    """processes on this machine that train together, one per GPU; under torchrun leave it out"""
    launcher: Literal["local", "slurm"] = "local"
    """where to train: on this machine, or as a job by the preset's [slurm] section, whose settings
    can be given too: --slurm.nodes 4 --slurm.partition gpu"""
    wait: bool = False
    """with --launcher slurm: show how it goes until it ends; Ctrl-C leaves the job alone"""
    dry_run: bool = False
    """with --launcher slurm: print the batch script, and submit nothing"""
    stage_to: Path | None = None
    """folder on each node's own disk to copy the used shards to first, for example /local/$USER"""


def start(
    place: TrainingPlace, work: RunTraining, slurm: SlurmSettings, slurm_words: list[str]
) -> int:
    """Train, or have Slurm train; `slurm_words` are those that only Slurm has a use for."""
    if place.launcher == "slurm":
        from workflows.launch import launch

        return launch(work, slurm, dry_run=place.dry_run, wait=place.wait)
    if place.wait or place.dry_run or slurm_words:
        raise ValueError("--wait, --dry-run and --slurm: belong to --launcher slurm; add it")
    return _train_here(work, place.processes)


def for_slurm(words: list[str]) -> tuple[list[str], list[str]]:
    """Words of `--slurm.` options without that, and the others."""
    of_slurm: list[str] = []
    others: list[str] = []
    into = others
    for word in words:
        if word.startswith("--"):
            into = of_slurm if word.startswith("--slurm.") else others
        into.append(word.replace("--slurm.", "--", 1) if into is of_slurm else word)
    return of_slurm, others


def _train_here(work: RunTraining, processes: int) -> int:
    if processes < 1:
        raise ValueError(f"--processes {processes}: should be at least 1")
    from tasks.training.ranks import ranks_of

    ranks = ranks_of(os.environ)
    if ranks.count > 1 and processes > 1:
        raise ValueError(
            f"--processes {processes}: torchrun has started {ranks.count} already; leave it out"
        )
    with stop_asked() as asked:
        if work.here(processes, ranks, lambda: asked.number is not None) == "stopped":
            raise Terminated("SIGTERM") if asked.number == signal.SIGTERM else KeyboardInterrupt
    return DONE


@dataclass
class _Asked:
    number: int | None = None


@contextmanager
def stop_asked() -> Iterator[_Asked]:
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
