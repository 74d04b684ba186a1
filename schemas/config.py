"""What a preset file may say, and what one dataset resolves to.

A preset has optional sections; `dataset_config` takes out of it what one dataset needs. What it
resolves to is stored in the dataset's run.json, so a dataset says by itself how it was made.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from schemas.generator import GeneratorSettings
from schemas.mistakes import nearest
from schemas.photo import FolderSettings
from schemas.sample import MADE_BY, SPLITS, Split, Stage
from schemas.settings import (
    FILLED,
    NON_NEGATIVE,
    POSITIVE,
    read_toml,
    resolve,
    settings,
)

# A dataset whose prompts come from relume prompts.
WHOLE_PROMPT = "{prompt}"


# Sections of a preset file that say nothing about datasets.
OTHER_SECTIONS = frozenset(
    {
        *("benchmark", "evaluate", "facepairs", "facescore", "guide", "lora", "reproduce"),
        *("lora_sweep", "slurm", "sweep", "train"),
    }
)


@settings
class SplitSettings:
    """How many of all names go where; only the proportions count."""

    train: Annotated[int, NON_NEGATIVE] = 116
    """weight of train"""
    validation: Annotated[int, NON_NEGATIVE] = 4
    """weight of validation"""
    test: Annotated[int, NON_NEGATIVE] = 20
    """weight of test, which training never opens"""

    @staticmethod
    def _one_is_wanted(train: int, validation: int, test: int) -> Iterator[str]:
        if not train + validation + test:
            yield "train = 0: all weights are 0; give at least one split a weight"


@settings
class StageSettings:
    """One picture per sample: which model makes it, and how."""

    model: Annotated[str, FILLED]
    """hub id or local name of the model"""
    revision: Annotated[str, FILLED] = "main"
    """revision of the model"""
    steps: Annotated[int, Ge(1)] = 1
    """scheduler steps"""
    guidance: Annotated[float, NON_NEGATIVE] = 0.0
    """guidance scale"""
    strength: Annotated[float | None, Gt(0), Le(1)] = None
    """img2img strength of a target; sources and teachers have none"""
    draw: Annotated[int, NON_NEGATIVE, Le(2**31)] = 0
    """another draw of this stage's seeds: targets of one source by several seeds"""
    tflop_per_step: Annotated[float, NON_NEGATIVE] = 0.0
    """cost of one step at 512 px in TFLOP, for the forecast"""
    tflop_fixed: Annotated[float, NON_NEGATIVE] = 0.0
    """cost of text encoders and VAE at 512 px in TFLOP, for the forecast"""

    @property
    def effective_steps(self) -> int:
        """Steps that really run: img2img skips the first part of its schedule."""
        if self.strength is None:
            return self.steps
        return self.steps - int(self.steps - self.steps * self.strength)


@settings
class DatasetSettings:
    """One dataset: what is asked for, how often, and in which pieces."""

    prompt: str
    """the prompt; {name} stands for a name, {prompt} alone for one of a file of prompts;
    photographs may have none"""
    count: Annotated[int, POSITIVE]
    """samples before splits are left out"""
    stages: Annotated[tuple[Stage, ...], FILLED]
    """pictures of a sample"""
    size_px: Annotated[int, Ge(64), Le(2048)] = 512
    """width and height, a multiple of 16"""
    shard_size: Annotated[int, POSITIVE, Le(100_000)] = 64
    """samples in a shard, which is what is leased, published and recovered"""
    batch_size: Annotated[int, Ge(2), Le(1024)] = 8
    """pictures made at once; a batch of one gives other bytes than a larger one"""
    splits: Annotated[tuple[Split, ...], FILLED] = SPLITS
    """splits to make; the others are planned away"""
    images_per_name: Annotated[int, POSITIVE, Le(100)] = 1
    """samples of each name"""

    @staticmethod
    def _fits_the_latents(size_px: int) -> Iterator[str]:
        if size_px % 16:
            yield f"size_px = {size_px}: should be a multiple of 16"

    @staticmethod
    def _target_has_a_source(stages: tuple[Stage, ...]) -> Iterator[str]:
        if len(set(stages)) != len(stages):
            yield f"stages = {list(stages)}: should not repeat itself"
        if "target" in stages and "source" not in stages:
            yield f"stages = {list(stages)}: a target is made from a source; add 'source'"

    @staticmethod
    def _photos_are_by_themselves(prompt: str, stages: tuple[Stage, ...]) -> Iterator[str]:
        if not prompt and not {"photo", *MADE_BY} & set(stages):
            yield f"prompt = {prompt!r}: should be at least 1 long"
        if "photo" in stages and len(stages) > 1:
            yield f"stages = {list(stages)}: photographs are a dataset of their own"
        if "photo" in stages and _prompt_fields(prompt):
            yield f"prompt = {prompt!r}: a photograph is of nobody that a plan names"

    @staticmethod
    def _splits_once(splits: tuple[Split, ...]) -> Iterator[str]:
        if len(set(splits)) != len(splits):
            yield f"splits = {list(splits)}: should not repeat itself"

    @staticmethod
    def _whole_names(count: int, images_per_name: int) -> Iterator[str]:
        if count % images_per_name:
            yield (
                f"count = {count}: should be a multiple of images_per_name, "
                f"which is {images_per_name}"
            )

    @staticmethod
    def _prompt_of_one_name(prompt: str, images_per_name: int) -> Iterator[str]:
        fields = _prompt_fields(prompt)
        if prompt == WHOLE_PROMPT:
            return
        # No format and no conversion either: {name:>9} and {name!r} would change the name.
        if fields is None or any(field != ("name", "", None) for field in fields):
            yield (
                f"prompt = {prompt!r}: only {{name}} may stand in braces; "
                "double a brace that is meant literally"
            )
        elif not fields and images_per_name > 1:
            yield f"images_per_name = {images_per_name}: the prompt asks for no name"

    @property
    def has_names(self) -> bool:
        """Whether the prompt asks for a name."""
        return not self.has_prompts and bool(_prompt_fields(self.prompt))

    @property
    def has_prompts(self) -> bool:
        """Whether each sample has a prompt of its own, from a file of prompts."""
        return self.prompt == WHOLE_PROMPT


@settings
class Preset:
    """A preset file: the settings that datasets share, and the datasets by name."""

    seed: Annotated[int, NON_NEGATIVE, Le(2**53 - 1)] = 0
    """seed of everything in the run"""
    fractions: tuple[Annotated[float, Gt(0), Le(1)], ...] = ()
    """nested parts of the whole plan to train on, drawn from train"""
    split: SplitSettings = SplitSettings()
    """weights of the splits"""
    generator: GeneratorSettings
    """what makes the pictures"""
    stage: dict[Stage, StageSettings]
    """the pictures of a sample"""
    dataset: dict[str, DatasetSettings]
    """the datasets by name"""

    @staticmethod
    def _only_targets_have_strength(stage: dict[Stage, StageSettings]) -> Iterator[str]:
        yield from _strengths(stage)

    @staticmethod
    def _datasets_have_their_stages(
        dataset: dict[str, DatasetSettings], stage: dict[Stage, StageSettings]
    ) -> Iterator[str]:
        for name, one in dataset.items():
            yield from _stages_there(name, one, stage)

    @staticmethod
    def _photos_are_of_a_folder(
        generator: GeneratorSettings, dataset: dict[str, DatasetSettings]
    ) -> Iterator[str]:
        for name, one in dataset.items():
            yield from _photos(name, generator, one)


@settings
class DatasetConfig:
    """Everything that determines one dataset, but the names."""

    name: Annotated[str, FILLED]
    """the dataset's name, which begins the ids of samples without a person's name"""
    seed: Annotated[int, NON_NEGATIVE, Le(2**53 - 1)]
    """seed of everything in the run"""
    fractions: tuple[Annotated[float, Gt(0), Le(1)], ...]
    """nested parts of the whole plan to train on, drawn from train"""
    split: SplitSettings
    """weights of the splits"""
    generator: GeneratorSettings
    """what makes the pictures"""
    stage: dict[Stage, StageSettings]
    """the pictures of a sample"""
    dataset: DatasetSettings
    """what is asked for"""

    @staticmethod
    def _parts_agree(
        name: str, dataset: DatasetSettings, stage: dict[Stage, StageSettings]
    ) -> Iterator[str]:
        yield from _strengths(stage)
        yield from _stages_there(name, dataset, stage)

    @staticmethod
    def _photos_are_of_a_folder(
        name: str, generator: GeneratorSettings, dataset: DatasetSettings
    ) -> Iterator[str]:
        yield from _photos(name, generator, dataset)


def dataset_tables(path: Path) -> dict[str, Any]:
    """The tables of a preset file without the sections of other verbs, which read their own."""
    return {key: value for key, value in read_toml(path).items() if key not in OTHER_SECTIONS}


def read_preset(path: Path) -> Preset:
    """A preset file; a ValueError lists every mistake in what datasets are made by."""
    return resolve(Preset, dataset_tables(path), str(path))


def dataset_config(preset: Preset, name: str, origin: str) -> DatasetConfig:
    """What one dataset of a preset resolves to."""
    if name not in preset.dataset:
        raise ValueError(f"{origin}: no [dataset.{name}]; {nearest(name, list(preset.dataset))}")
    dataset = preset.dataset[name]
    return DatasetConfig(
        name=name,
        seed=preset.seed,
        fractions=preset.fractions,
        split=preset.split,
        generator=preset.generator,
        stage={key: preset.stage[key] for key in dataset.stages},
        dataset=dataset,
    )


def _prompt_fields(prompt: str) -> list[tuple[str, str | None, str | None]] | None:
    """What stands in braces: name, format and conversion of each; None if the braces are wrong."""
    try:
        parsed = [rest for _, *rest in string.Formatter().parse(prompt)]
    except ValueError:
        return None
    return [(field, form, conversion) for field, form, conversion in parsed if field is not None]


def _strengths(stage: dict[Stage, StageSettings]) -> Iterator[str]:
    for name, one in stage.items():
        if name == "target" and one.strength is None:
            yield "stage.target.strength: is missing; a target is img2img"
        if name != "target" and one.strength is not None:
            yield f"stage.{name}.strength = {one.strength}: only a target has one"
        if one.effective_steps < 1:
            told = f"no step of {one.steps} would run; raise it"
            yield f"stage.{name}.strength = {one.strength}: {told}"


def _photos(name: str, generator: GeneratorSettings, dataset: DatasetSettings) -> Iterator[str]:
    """Photographs come from a folder, or a head has made enhanced ones of them; nothing else."""
    of_folder = isinstance(generator, FolderSettings)
    if of_folder and not {"photo", *MADE_BY} & set(dataset.stages):
        yield (
            f"dataset.{name}.stages = {list(dataset.stages)}: a folder gives photographs; "
            "set stages = ['photo']"
        )
    if "photo" in dataset.stages and not of_folder:
        yield f"dataset.{name}.stages: a photo is read from a folder; set generator.kind = 'folder'"


def _stages_there(
    name: str, dataset: DatasetSettings, stage: dict[Stage, StageSettings]
) -> Iterator[str]:
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name):
        yield f"dataset {name!r}: use letters, digits, - and _ for its name, at most 64"
    for wanted in dataset.stages:
        if wanted not in stage:
            yield f"stage.{wanted}: is missing, and dataset.{name} asks for it"
