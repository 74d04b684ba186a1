"""How a model is guided from bad faces to good ones: the `[guide]` section of a preset.

Paper 3's numbers are the defaults; the ablations of its Tables 6 and 7 are settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Lt

from schemas.overrides import read_section
from schemas.settings import (
    FILLED,
    NON_NEGATIVE,
    POSITIVE,
    settings,
    tagged,
)
from schemas.train import RecordSettings

SECTION = "guide"


@settings
class L2Distance:
    """d of Eq. 7: the mean squared difference of the masked latents."""

    kind: Literal["l2"] = "l2"
    """squared differences of latents"""
    over: Literal["latent", "mask"] = "latent"
    """mean over the whole latent, as Eq. 7 reads, or over the mask, so that small faces count"""


@settings
class DinoDistance:
    """d of Eq. 7: both masked latents are decoded, and DINO's features of them compared."""

    kind: Literal["dino"] = "dino"
    """features of DINO (Caron et al. 2021), whose gradient goes back through the decoder"""
    model: Annotated[str, FILLED] = "facebook/dino-vits16"
    """folder or hub id of a ViT in transformers' layout; the paper does not say which"""
    revision: Annotated[str, FILLED] = "main"
    """revision of the model"""
    tokens: Literal["class", "all"] = "class"
    """which features are compared: the class token's, or those of every patch too"""
    measure: Literal["cosine", "l2"] = "cosine"
    """1 - cosine of the features, or the mean of their squared differences"""


Distance = Annotated[L2Distance | DinoDistance, tagged("kind")]


@settings
class GuideDataSettings:
    """Which pairs a step sees, and how."""

    batch_size: Annotated[int, POSITIVE, Le(1024)] = 2
    """pairs that are worked out at once, per process"""
    accumulation: Annotated[int, POSITIVE, Le(4096)] = 8
    """such batches in one step"""
    mask: Literal["nearest", "area"] = "nearest"
    """the mask at the latents' size: as inpainting has it, or the share of each place"""
    latents: Literal["mode", "drawn"] = "mode"
    """a picture's latents: the encoder's mode, or drawn, by one seed for both pictures of a pair"""
    text_dropout: Annotated[float, NON_NEGATIVE, Le(1)] = 0.2
    """share of pairs that are shown without their text"""
    damaged: Literal["stop", "skip"] = "stop"
    """what to do about a pair that cannot be read: stop, or take another and count it"""
    loader_workers: Annotated[int, NON_NEGATIVE, Le(64)] = 2
    """processes that read and decode pictures, per process that trains"""

    @property
    def step_pairs(self) -> int:
        """Pairs of a step, per process: 16."""
        return self.batch_size * self.accumulation


@settings
class GuideOptimiserSettings:
    """AdamW at a constant rate."""

    learning_rate: Annotated[float, POSITIVE] = 1e-5
    """1e-5 for Stable Diffusion 1.5, 1e-6 for Realistic Vision 5.1"""
    beta1: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.9
    """memory of the gradient"""
    beta2: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.999
    """memory of its square"""
    weight_decay: Annotated[float, NON_NEGATIVE] = 0.01
    """pull towards 0"""
    clip_norm: Annotated[float, POSITIVE] | None = 1.0
    """a longer gradient is made this long"""
    max_gradient_norm: Annotated[float, POSITIVE] = 1e6
    """a gradient beyond this stops the run, as no step would come back from it"""


@settings
class GuideValidationSettings:
    """What is measured on held-out pairs after an epoch, and what is published by it."""

    count: Annotated[int, POSITIVE] = 256
    """pairs that are measured, at most; their steps and noise are always the same"""
    every_epochs: Annotated[int, POSITIVE] = 1
    """epochs from one measurement to the next; the last one is always measured"""
    patience: Annotated[int, POSITIVE] | None = None
    """stop after so many measurements without a better one"""
    publish: Literal["last", "best"] = "last"
    """which UNet lies in RUN/unet: the last that was measured, or that of the least loss"""


@settings
class GuideNumericsSettings:
    """What changes the last digits, memory and speed."""

    precision: Literal["float32", "bfloat16"] = "bfloat16"
    """number format of frozen layers and inner work; trained layers stay float32"""
    checkpointing: bool = True
    """work out blocks once more on the way back, and keep less of them"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor per process; another number may give other digits there"""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """where to train; auto takes GPUs where there are some"""


@settings
class GuideConfig:
    """Everything that determines a guided UNet, but the pairs and the number of processes."""

    seed: Annotated[int, NON_NEGATIVE, Le(2**53 - 1)] = 0
    """seed of every draw"""
    model: Annotated[str, FILLED]
    """folder or hub id of a Stable Diffusion 1.5: the frozen teacher, and what is trained"""
    revision: Annotated[str, FILLED] = "main"
    """revision of the model"""
    trained: Literal["attn1", "all"] = "attn1"
    """self-attention alone, or every layer of the UNet (Table 6)"""
    t_end: Annotated[int, Ge(1), Le(1000)] = 500
    """steps of noise are drawn from 1 to this, of 1000 (Table 7: 250, 500, 750, 1000)"""
    distance: Distance = L2Distance()
    """d of Eq. 7"""
    epochs: Annotated[int, POSITIVE] = 1
    """passes over the pairs; the paper does not say"""
    data: GuideDataSettings = GuideDataSettings()
    """which pairs, and how"""
    optimiser: GuideOptimiserSettings = GuideOptimiserSettings()
    """AdamW"""
    validation: GuideValidationSettings = GuideValidationSettings()
    """what is measured after an epoch"""
    numerics: GuideNumericsSettings = GuideNumericsSettings()
    """what changes the last digits, memory and speed"""
    record: RecordSettings = RecordSettings()
    """what is kept and told on the way"""


def guide_config(path: Path, overrides: Mapping[str, Any]) -> GuideConfig:
    """The [guide] section of a preset with what a command line says otherwise."""
    return read_section(GuideConfig, path, SECTION, overrides, "configs/guide_sd15.toml")
