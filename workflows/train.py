"""`relume train`: trains a head, or continues where it stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from workflows.cli import DONE, Terminated, parse_known, run_verb

if TYPE_CHECKING:
    from schemas.slurm import SlurmSettings
    from workflows.run_training import RunTraining


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
    launcher: Literal["local", "slurm"] = "local"
    """where to train: on this machine, or as a job by the preset's [slurm] section, whose settings
    can be given too: --slurm.nodes 4 --slurm.partition gpu"""
    wait: bool = False
    """with --launcher slurm: show how it goes until it ends; Ctrl-C leaves the job alone"""
    dry_run: bool = False
    """with --launcher slurm: print the batch script, and submit nothing"""
    stage_to: Path | None = None
    """folder on each node's own disk to copy the used shards to first, for example /local/$USER"""


def main(argv: list[str]) -> int:
    """Train a head."""
    arguments, overrides = parse_known(Arguments, "train", argv)
    for_slurm = [word for word in overrides if word.startswith("--slurm.")]
    work, slurm = _asked_for(arguments, overrides)
    if arguments.launcher == "slurm":
        from workflows.launch import launch

        return launch(work, slurm, dry_run=arguments.dry_run, wait=arguments.wait)
    if arguments.wait or arguments.dry_run or for_slurm:
        raise ValueError("--wait, --dry-run and --slurm: belong to --launcher slurm; add it")
    return _train_here(work, arguments.processes)


def _asked_for(arguments: Arguments, words: list[str]) -> tuple[RunTraining, SlurmSettings]:
    """What to train, and how to ask Slurm for it."""
    from schemas.overrides import parse_overrides
    from schemas.slurm import SlurmSettings, slurm_settings
    from schemas.train import TrainConfig, train_config
    from workflows.run_training import RunTraining

    for_slurm, for_training = _split(words)
    work = RunTraining(
        config=train_config(arguments.config, parse_overrides(TrainConfig, for_training)),
        dataset=arguments.data.absolute(),
        run=arguments.out.absolute(),
        selection=None if arguments.selection is None else arguments.selection.absolute(),
        weights=arguments.weights.absolute(),
        stage_to=arguments.stage_to,
    )
    slurm = slurm_settings(arguments.config, parse_overrides(SlurmSettings, for_slurm))
    return work, slurm


def _split(words: list[str]) -> tuple[list[str], list[str]]:
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
    from tasks.ranks import ranks_of

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


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
