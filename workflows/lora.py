"""`relume lora`: trains a LoRA of Stable Diffusion 1.5, or continues where it stopped (paper 2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from workflows.cli import parse_known, run_verb
from workflows.start_training import TrainingPlace, for_slurm, start
from workflows.workers import whole_path

if TYPE_CHECKING:
    from schemas.lora import LoraConfig


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train a LoRA on pictures with texts, or continue; the adapter is RUN/adapter.

    Every setting of the preset's [lora] can be given too, by its path:
    --seed 1 --adapter.rank 8 --optimiser.learning-rate 1e-4 --data.images none
    """

    config: tyro.conf.Positional[Path]
    """preset with a [lora] section, for example configs/lora.toml"""
    data: Path
    """dataset of pictures, for example of photographs"""
    out: Path
    """folder of the run"""
    captions: Path | None = None
    """folder that relume caption wrote; without it pictures are learned with their prompts"""
    place: tyro.conf.OmitArgPrefixes[TrainingPlace] = field(default_factory=TrainingPlace)


def main(argv: list[str]) -> int:
    """Train a LoRA."""
    arguments, overrides = parse_known(Arguments, "lora", argv)
    from schemas.lora import LoraConfig, lora_config
    from schemas.overrides import parse_overrides
    from schemas.slurm import SlurmSettings, slurm_settings
    from workflows.run_lora_training import RunLoraTraining

    slurm_words, words = for_slurm(overrides)
    captions = arguments.captions
    work = RunLoraTraining(
        config=placed(lora_config(arguments.config, parse_overrides(LoraConfig, words))),
        dataset=arguments.data.absolute(),
        run=arguments.out.absolute(),
        captions=None if captions is None else captions.absolute(),
        stage_to=arguments.place.stage_to,
    )
    slurm = slurm_settings(arguments.config, parse_overrides(SlurmSettings, slurm_words))
    return start(arguments.place, work, slurm, slurm_words)


def placed(config: LoraConfig) -> LoraConfig:
    """With its model where a job finds it."""
    return replace(config, model=whole_path(config.model))


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
