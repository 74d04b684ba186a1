"""How a scorer of faces is trained: the `[facescore]` section of a preset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Lt

from schemas.overrides import read_section
from schemas.settings import FILLED, NON_NEGATIVE, POSITIVE, settings
from schemas.train import NumericsSettings, RecordSettings

SCORE_SECTION = "facescore"


@settings
class PairDataSettings:
    """Which part of the pictures of a pair is looked at."""

    region: Literal["mask", "picture"] = "mask"
    """the face, where the mask is white, as in the paper; or the whole picture, without masks"""
    margin_px: Annotated[int, NON_NEGATIVE, Le(1024)] = 1
    """pixels added to each side of the face, as when faces are scored"""
    damaged: Literal["stop", "skip"] = "stop"
    """what to do about a pair that cannot be read: stop, or take another and count it"""
    loader_workers: Annotated[int, NON_NEGATIVE, Le(64)] = 2
    """processes that read and decode pictures, per process that trains"""


@settings
class ScoreOptimiserSettings:
    """Adam and its schedule; the paper gives the rate, ImageReward's script the rest."""

    learning_rate: Annotated[float, POSITIVE] = 1e-5
    """of everything that learns"""
    beta1: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.9
    """memory of the gradient"""
    beta2: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.999
    """memory of its square"""
    decay: Literal["cosine", "constant"] = "cosine"
    """how the rate falls: to 0 over the whole run as in ImageReward's script, or not at all"""
    warmup_steps: Annotated[int, NON_NEGATIVE] = 0
    """first steps, over which the rate rises in a line"""
    max_gradient_norm: Annotated[float, POSITIVE] = 1e6
    """a gradient beyond this stops the run, as no step would come back from it"""


@settings
class ScoreValidationSettings:
    """What is measured on the pairs of validation."""

    count: Annotated[int, Ge(2)] = 2048
    """pairs that are measured, at most"""
    every_epochs: Annotated[int, POSITIVE] = 1
    """epochs from one measurement to the next; the last one is always measured"""
    patience: Annotated[int, POSITIVE] | None = None
    """stop after so many measurements without a better one"""


@settings
class ScoreTrainConfig:
    """Everything that determines a scorer, but the dataset and the number of processes."""

    scorer: Annotated[str, FILLED]
    """folder or file of the weights to begin from; the paper begins from ImageReward's"""
    seed: Annotated[int, NON_NEGATIVE, Le(2**53 - 1)] = 0
    """seed of order and dropouts"""
    epochs: Annotated[int, POSITIVE]
    """passes over the pairs; the paper tells no number, ImageReward's script has 10"""
    batch_size: Annotated[int, POSITIVE] = 64
    """pairs per process and step"""
    accumulation: Annotated[int, POSITIVE] = 1
    """parts that a batch is worked out in, for memory's sake"""
    frozen: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.7
    """share of the first layers of each transformer that stay as they are, rounded down"""
    data: PairDataSettings = PairDataSettings()
    """which part of the pictures"""
    optimiser: ScoreOptimiserSettings = ScoreOptimiserSettings()
    """Adam and its schedule"""
    validation: ScoreValidationSettings = ScoreValidationSettings()
    """what is measured after an epoch"""
    numerics: NumericsSettings = NumericsSettings(channels_last=False)
    """what changes the last digits, or only the speed"""
    record: RecordSettings = RecordSettings()
    """what is kept and told on the way"""

    @staticmethod
    def _parts_are_whole(batch_size: int, accumulation: int) -> Iterator[str]:
        if batch_size % accumulation:
            yield (
                f"accumulation = {accumulation}: does not divide batch_size = {batch_size}; "
                "choose a divisor"
            )


def score_train_config(path: Path, overrides: Mapping[str, Any]) -> ScoreTrainConfig:
    """The [facescore] section of a preset with what a command line says otherwise."""
    return read_section(ScoreTrainConfig, path, SCORE_SECTION, overrides, "configs/facescore.toml")
