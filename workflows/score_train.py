"""`relume facescore train`: trains a scorer on pairs of faces, or continues where it stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from workflows.cli import parse_known
from workflows.start_training import TrainingPlace, for_slurm, start


@dataclass(frozen=True, kw_only=True)
class Arguments(TrainingPlace):
    """Train a scorer of faces on pairs, or continue; the scorer is RUN/scorer.

    Every setting of the preset's [facescore] can be given too, by its path:
    --seed 1 --scorer weights/ImageReward --optimiser.learning-rate 1e-6
    """

    config: tyro.conf.Positional[Path]
    """preset with a [facescore] section, for example configs/facescore.toml"""
    data: Path
    """dataset of good and bad faces, from relume facepairs"""
    out: Path
    """folder of the run"""


def main(argv: list[str]) -> int:
    """Train a scorer."""
    arguments, overrides = parse_known(Arguments, "facescore train", argv)
    from schemas.overrides import parse_overrides
    from schemas.score_train import ScoreTrainConfig, score_train_config
    from schemas.slurm import SlurmSettings, slurm_settings
    from workflows.run_score_training import RunScoreTraining, absolute

    slurm_words, words = for_slurm(overrides)
    config = score_train_config(arguments.config, parse_overrides(ScoreTrainConfig, words))
    work = RunScoreTraining(
        config=absolute(config),
        dataset=arguments.data.absolute(),
        run=arguments.out.absolute(),
        stage_to=arguments.stage_to,
    )
    slurm = slurm_settings(arguments.config, parse_overrides(SlurmSettings, slurm_words))
    return start(arguments, work, slurm, slurm_words)
