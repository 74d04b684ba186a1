"""`relume guide`: fine-tunes Stable Diffusion on face pairs by the guidance loss, or continues."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from workflows.cli import parse_known, run_verb
from workflows.start_training import TrainingPlace, for_slurm, start
from workflows.workers import whole_path

if TYPE_CHECKING:
    from schemas.guide import GuideConfig


@dataclass(frozen=True, kw_only=True)
class Arguments(TrainingPlace):
    """Guide a model from bad faces to good ones, or continue; the UNet is RUN/unet.

    Every setting of the preset's [guide] can be given too, by its path:
    --t-end 250 --trained all --distance.kind dino --data.text-dropout 0
    """

    config: tyro.conf.Positional[Path]
    """preset with a [guide] section, for example configs/guide_sd15.toml"""
    data: Path
    """dataset of good, bad and mask, from relume facepairs"""
    out: Path
    """folder of the run"""
    selection: Path | None = None
    """pairs to train on, as a selection of that dataset; without it all of train"""


def main(argv: list[str]) -> int:
    """Guide a model."""
    arguments, overrides = parse_known(Arguments, "guide", argv)
    from schemas.guide import GuideConfig, guide_config
    from schemas.overrides import parse_overrides
    from schemas.slurm import SlurmSettings, slurm_settings
    from workflows.run_guide_training import RunGuideTraining

    slurm_words, words = for_slurm(overrides)
    work = RunGuideTraining(
        config=placed(guide_config(arguments.config, parse_overrides(GuideConfig, words))),
        dataset=arguments.data.absolute(),
        run=arguments.out.absolute(),
        selection=None if arguments.selection is None else arguments.selection.absolute(),
        stage_to=arguments.stage_to,
    )
    slurm = slurm_settings(arguments.config, parse_overrides(SlurmSettings, slurm_words))
    return start(arguments, work, slurm, slurm_words)


def placed(config: GuideConfig) -> GuideConfig:
    """With its models where a job finds them."""
    distance = config.distance
    if distance.kind == "dino":
        distance = replace(distance, model=whole_path(distance.model))
    return replace(config, model=whole_path(config.model), distance=distance)


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
