"""`relume train`: trains a head, or continues where it stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from workflows.cli import parse_known, run_verb
from workflows.start_training import TrainingPlace, for_slurm, start


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
    weights: Path = Path("weights")
    """folder of published weights, where LPIPS is asked for"""
    place: tyro.conf.OmitArgPrefixes[TrainingPlace] = field(default_factory=TrainingPlace)


def main(argv: list[str]) -> int:
    """Train a head."""
    arguments, overrides = parse_known(Arguments, "train", argv)
    from schemas.overrides import parse_overrides
    from schemas.slurm import SlurmSettings, slurm_settings
    from schemas.train import TrainConfig, train_config
    from workflows.run_head_training import RunHeadTraining

    slurm_words, words = for_slurm(overrides)
    work = RunHeadTraining(
        config=train_config(arguments.config, parse_overrides(TrainConfig, words)),
        dataset=arguments.data.absolute(),
        run=arguments.out.absolute(),
        selection=None if arguments.selection is None else arguments.selection.absolute(),
        weights=arguments.weights.absolute(),
        stage_to=arguments.place.stage_to,
    )
    slurm = slurm_settings(arguments.config, parse_overrides(SlurmSettings, slurm_words))
    return start(arguments.place, work, slurm, slurm_words)


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
