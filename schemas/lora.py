"""How a LoRA is trained: the `[lora]` section of a preset, with paper 2's numbers as defaults.

What the adapter is stands apart from how it learns, so that an adapter's folder needs the first
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge, Le, Lt, MinLen

from schemas.overrides import read_section
from schemas.sample import Stage
from schemas.settings import FILLED, NON_NEGATIVE, POSITIVE, settings
from schemas.train import RecordSettings

SECTION: Final = "lora"
# Paper 2, "Targeted Modules".
PAPER_TARGETS: Final = (
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "proj_in",
    "proj_out",
    "conv1",
    "conv2",
    "conv_shortcut",
)


@settings
class AdapterSettings:
    """Two thin matrices beside each of some layers of a UNet."""

    rank: Annotated[int, POSITIVE, Le(1024)] = 16
    """r, the inner size of the two matrices"""
    alpha: Annotated[int, POSITIVE, Le(65_536)] = 32
    """alpha, how much of their product is added"""
    scaling: Literal["alpha / rank", "alpha"] = "alpha / rank"
    """what the product is multiplied by: PEFT's alpha / r, or alpha as paper 2's formula says"""
    dropout: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.1
    """share of a layer's inputs that the matrices do not see in a training step"""
    targets: Annotated[tuple[Annotated[str, FILLED], ...], MinLen(1)] = PAPER_TARGETS
    """layers by the ends of their names"""
    initial: Literal["kaiming", "gaussian"] = "kaiming"
    """what the first matrix starts from; the second starts from 0"""

    @staticmethod
    def _targets_once(targets: tuple[str, ...]) -> Iterator[str]:
        if len(set(targets)) != len(targets):
            yield f"targets = {list(targets)}: should not repeat itself"

    @property
    def scale(self) -> float:
        """What the product of the two matrices is multiplied by."""
        return self.alpha / self.rank if self.scaling == "alpha / rank" else float(self.alpha)

    @property
    def stored_alpha(self) -> int:
        """The alpha that gives this scale to tools that divide it by the rank, as all do."""
        return self.alpha if self.scaling == "alpha / rank" else self.alpha * self.rank


@settings
class LoraDataSettings:
    """Which pictures, with which texts, and in which portions."""

    stage: Stage | None = None
    """which of a sample's pictures is learned; without it the only one that the dataset has"""
    images: Annotated[int, POSITIVE] | None = 52_000
    """pictures of train, drawn by the plan; all of them without it"""
    phase_images: Annotated[int, POSITIVE] = 10_000
    """pictures of a phase; the last one has what is left"""
    phase_epochs: Annotated[int, POSITIVE] = 5
    """passes over the pictures of a phase before the next phase begins"""
    batch_size: Annotated[int, POSITIVE, Le(4096)] = 4
    """pictures that are worked out at once, per process"""
    accumulation: Annotated[int, POSITIVE, Le(4096)] = 4
    """such batches in one step"""
    flip: bool = False
    """mirror half of the pictures; texts that say left or right are then wrong"""
    latents: Literal["drawn", "mode"] = "drawn"
    """a picture's latents: drawn anew each time as its encoder says, or their mode"""
    cache: bool = False
    """encode each picture of a phase once, and keep that in RUN/latents until the phase ends"""
    text_dropout: Annotated[float, NON_NEGATIVE, Le(1)] = 0.0
    """share of pictures that are shown without a text; paper 2 says of none"""
    no_text: Literal["stop", "skip", "empty"] = "stop"
    """what to do about a picture that has no text: stop, leave it out, or learn it without one"""
    damaged: Literal["stop", "skip"] = "stop"
    """what to do about a picture that cannot be read: stop, or take another and count it"""
    loader_workers: Annotated[int, NON_NEGATIVE, Le(64)] = 2
    """processes that read and decode pictures, per process that trains"""

    @property
    def step_images(self) -> int:
        """Pictures of a step, per process: 16."""
        return self.batch_size * self.accumulation


@settings
class LoraOptimiserSettings:
    """AdamW and its schedule."""

    learning_rate: Annotated[float, POSITIVE] = 5e-5
    """the highest rate"""
    beta1: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.9
    """memory of the gradient"""
    beta2: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.999
    """memory of its square"""
    weight_decay: Annotated[float, NON_NEGATIVE] = 0.01
    """pull towards 0"""
    schedule: Literal["cosine", "constant"] = "cosine"
    """how the rate goes on after the warmup: down to 0 along half a cosine, or not at all"""
    warmup_steps: Annotated[int, NON_NEGATIVE] = 500
    """steps over which the rate rises"""
    restart: bool = False
    """begin schedule and moments anew with each phase, as who keeps the weights alone would"""
    clip_norm: Annotated[float, POSITIVE] | None = 1.0
    """a longer gradient is made this long"""
    max_gradient_norm: Annotated[float, POSITIVE] = 1e6
    """a gradient beyond this stops the run, as no step would come back from it"""


@settings
class LoraNumericsSettings:
    """What changes the last digits, memory and speed."""

    precision: Literal["float32", "bfloat16", "float16"] = "float16"
    """number format of frozen layers and inner work; the adapter stays float32"""
    checkpointing: bool = True
    """work out the UNet's blocks once more on the way back, and keep less of them"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor per process; another number may give other digits there"""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """where to train; auto takes GPUs where there are some"""

    @staticmethod
    def _half_needs_a_gpu(precision: str, device: str) -> Iterator[str]:
        if precision == "float16" and device == "cpu":
            yield (
                'precision = "float16": a processor has no fast float16; say "float32" or '
                '"bfloat16"'
            )


@settings
class PreviewSettings:
    """Pictures that are drawn after an epoch, and before the first."""

    prompts: tuple[Annotated[str, FILLED], ...] = (
        "a close-up portrait of a smiling middle-aged woman, natural light",
        "a photo of an old man with a grey beard looking at the camera",
        "a portrait of a young man with glasses and curly hair, outdoors",
        "a photo of a little girl laughing",
    )
    """what is drawn; nothing where there are none"""
    negative_prompt: str = ""
    """what is steered away from"""
    seeds: Annotated[tuple[Annotated[int, NON_NEGATIVE], ...], MinLen(1)] = (0, 1)
    """pictures of each prompt"""
    steps: Annotated[int, POSITIVE, Le(1000)] = 30
    """steps of PNDM, the sampler that SD 1.5 comes with"""
    guidance: Annotated[float, NON_NEGATIVE] = 7.5
    """guidance scale"""
    size_px: Annotated[int, Ge(16), Le(2048)] | None = None
    """width and height; without it that of the dataset's pictures"""

    @staticmethod
    def _fits_the_latents(size_px: int | None) -> Iterator[str]:
        if size_px is not None and size_px % 8:
            yield f"size_px = {size_px}: should be a multiple of 8"


@settings
class LoraValidationSettings:
    """What is measured after an epoch, and what is published by it."""

    of: Literal["validation", "train"] = "validation"
    """pictures whose loss is measured: held-out ones, or those that are learned from, where a
    dataset has no others"""
    count: Annotated[int, Ge(1)] = 512
    """pictures whose loss is measured, at most; their steps and noise are always the same"""
    every_epochs: Annotated[int, POSITIVE] = 1
    """epochs from one measurement to the next; the last one is always measured"""
    patience: Annotated[int, POSITIVE] | None = None
    """stop after so many measurements without a better one"""
    publish: Literal["last", "best"] = "last"
    """which adapter lies in RUN/adapter: the last that was measured, or that of the least loss"""


@settings
class LoraConfig:
    """Everything that determines a LoRA, but dataset, captions and the number of processes."""

    seed: Annotated[int, NON_NEGATIVE, Le(2**53 - 1)] = 0
    """seed of the first weights and of every draw"""
    model: Annotated[str, FILLED]
    """folder or hub id of a Stable Diffusion 1.5"""
    revision: Annotated[str, FILLED] = "main"
    """revision of the model"""
    adapter: AdapterSettings = AdapterSettings()
    """what is trained"""
    data: LoraDataSettings = LoraDataSettings()
    """which pictures, with which texts"""
    optimiser: LoraOptimiserSettings = LoraOptimiserSettings()
    """AdamW and its schedule"""
    preview: PreviewSettings = PreviewSettings()
    """pictures drawn on the way"""
    validation: LoraValidationSettings = LoraValidationSettings()
    """what is measured after an epoch"""
    numerics: LoraNumericsSettings = LoraNumericsSettings()
    """what changes the last digits, memory and speed"""
    record: RecordSettings = RecordSettings()
    """what is kept and told on the way"""


def lora_config(path: Path, overrides: Mapping[str, Any]) -> LoraConfig:
    """The [lora] section of a preset with what a command line says otherwise."""
    return read_section(LoraConfig, path, SECTION, overrides, "configs/lora.toml")
