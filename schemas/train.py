"""How a head is trained: the `[train]` section of a preset.

What the network is stands in schemas/head.py; where the run happens (processes, Slurm) is no part
of it, except for the number of processes, which a state remembers by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from schemas.head import NetworkSettings, PatchganSettings
from schemas.overrides import read_section
from schemas.settings import (
    FILLED,
    NON_NEGATIVE,
    POSITIVE,
    settings,
    tagged,
)

Pairing = Literal["paired", "shuffled", "disjoint"]


@settings
class PairedObjective:
    """Eq. 1: the structure of the source, the look of the target."""

    kind: Literal["paired"] = "paired"
    """a loss between each output, its source and its target"""
    structure: Literal["grad", "l1"] = "grad"
    """what keeps the structure of the source: differences of gradients, or of pixels"""
    structure_weight: Annotated[float, NON_NEGATIVE] = 1.0
    """weight of the structure; 1 as in Eq. 1"""
    perceptual: Literal["vgg", "alex"] = "vgg"
    """which LPIPS compares the output with the target"""
    perceptual_weight: Annotated[float, NON_NEGATIVE] = 1.0
    """weight of LPIPS; 1 as in Eq. 1"""


@settings
class CycleObjective:
    """Eq. 2 and 3: two generators, two discriminators, and the way back."""

    kind: Literal["cyclegan"] = "cyclegan"
    """least-squares GAN losses in both directions and the cycle"""
    lambda_cycle: Annotated[float, NON_NEGATIVE] = 10.0
    """weight of the cycle, Eq. 3"""
    lambda_identity: Annotated[float, NON_NEGATIVE] = 0.0
    """weight of the identity loss, which Eq. 3 does not have; not a share of lambda_cycle"""
    pool: Annotated[int, NON_NEGATIVE, Le(10_000)] = 50
    """earlier pictures that discriminators see instead of the newest, per process"""
    discriminator: PatchganSettings = PatchganSettings()
    """what judges the pictures of each side"""

    @staticmethod
    def _judges_a_picture_alone(discriminator: PatchganSettings) -> Iterator[str]:
        if discriminator.conditional:
            yield (
                "discriminator.conditional = true: cyclegan has no picture to judge beside; say "
                "false, or take pix2pix"
            )


@settings
class Pix2pixObjective:
    """A paired loss and a discriminator that sees source and output together."""

    kind: Literal["pix2pix"] = "pix2pix"
    """least-squares GAN loss and L1 to the target"""
    lambda_l1: Annotated[float, NON_NEGATIVE] = 100.0
    """weight of L1 to the target"""
    discriminator: PatchganSettings = PatchganSettings(conditional=True)
    """what judges an output beside its source"""

    @staticmethod
    def _judges_beside_the_source(discriminator: PatchganSettings) -> Iterator[str]:
        if not discriminator.conditional:
            yield "discriminator.conditional = false: pix2pix judges beside the source; say true"


Objective = Annotated[
    PairedObjective | CycleObjective | Pix2pixObjective,
    tagged("kind"),
]


@settings
class DataSettings:
    """Which pictures, and in which company."""

    pairing: Pairing = "paired"
    """source and target of one sample, of two samples drawn apart, or of disjoint halves"""
    flip: bool = True
    """mirror half of the pictures"""
    damaged: Literal["stop", "skip"] = "stop"
    """what to do about a picture that cannot be read: stop, or take another and count it"""
    loader_workers: Annotated[int, NON_NEGATIVE, Le(64)] = 2
    """processes that read and decode pictures, per process that trains"""


@settings
class Phase:
    """A part of the run with pictures of one size."""

    epochs: Annotated[int, POSITIVE]
    """passes over the pictures"""
    fraction: Annotated[float, Gt(0), Le(1)] | None = None
    """how much of the whole plan to train on, drawn from train; all of train without it"""
    crop_px: Annotated[int, POSITIVE] | None = None
    """side of the crops, at the pictures' own scale; the whole picture without it"""
    batch_size: Annotated[int, POSITIVE] = 1
    """pictures of each side per process and step"""
    accumulation: Annotated[int, POSITIVE] = 1
    """parts that a batch is worked out in, for memory's sake"""

    @staticmethod
    def _parts_are_whole(batch_size: int, accumulation: int) -> Iterator[str]:
        if batch_size % accumulation:
            yield (
                f"accumulation = {accumulation}: does not divide batch_size = {batch_size}; "
                "choose a divisor"
            )


@settings
class OptimiserSettings:
    """Adam, its schedule, and the average of the weights."""

    learning_rate: Annotated[float, POSITIVE] = 2e-4
    """of all networks"""
    beta1: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.5
    """memory of the gradient"""
    beta2: Annotated[float, NON_NEGATIVE, Lt(1)] = 0.999
    """memory of its square"""
    decay_epochs: Annotated[int, NON_NEGATIVE] = 0
    """last epochs of the run, over which the rate falls to 0 in a line"""
    ema_half_life_images: Annotated[float, POSITIVE] | None = None
    """pictures after which a weight counts half in the average; without it the last weights are
    the head's"""
    max_gradient_norm: Annotated[float, POSITIVE] = 1e6
    """a gradient beyond this stops the run, as no step would come back from it"""


@settings
class ValidationSettings:
    """What is measured on validation after an epoch, and what is kept by it."""

    count: Annotated[int, Ge(2)] = 512
    """pairs that are measured, at most"""
    every_epochs: Annotated[int, POSITIVE] = 1
    """epochs from one measurement to the next; the last one is always measured"""
    patience: Annotated[int, POSITIVE] | None = None
    """stop after so many measurements without a better one"""
    grid: Annotated[int, POSITIVE, Le(64)] = 6
    """pairs in the picture of an epoch, always the same ones"""
    ssim_alarm: Annotated[float, NON_NEGATIVE, Le(1)] = 0.9
    """warn when the full cycle's SSIM falls below"""


@settings
class NumericsSettings:
    """What changes the last digits, or only the speed."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """number format of the networks' inner work; the weights stay float32"""
    channels_last: bool = True
    """memory layout; faster with convolutions"""
    compile: bool = False
    """compile the networks; minutes at the start, faster steps"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor per process; another number may give other digits there"""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """where to train; auto takes GPUs where there are some"""


@settings
class RecordSettings:
    """What is kept and told of a run on the way."""

    save_every_steps: Annotated[int, POSITIVE] = 500
    """steps from one saved state to the next; the end of an epoch is always saved"""
    log_every_steps: Annotated[int, POSITIVE] = 50
    """steps from one line of metrics.jsonl to the next"""
    tensorboard: bool = False
    """write event files for TensorBoard to RUN/tensorboard as well"""
    wandb: Annotated[str, FILLED] | None = None
    """project of Weights & Biases to report to as well; needs the package wandb"""
    mlflow: Annotated[str, FILLED] | None = None
    """experiment of MLflow to report to as well; needs the package mlflow"""


@settings
class TrainConfig:
    """Everything that determines a head, but the dataset and the number of processes."""

    seed: Annotated[int, NON_NEGATIVE, Le(2**53 - 1)] = 0
    """seed of first weights, order, crops and flips"""
    network: NetworkSettings
    """the head's network"""
    objective: Objective
    """what it is to achieve"""
    data: DataSettings = DataSettings()
    """which pictures, and in which company"""
    phase: Annotated[tuple[Phase, ...], MinLen(1)]
    """parts of the run, one after the other"""
    optimiser: OptimiserSettings = OptimiserSettings()
    """Adam, its schedule, and the average of the weights"""
    validation: ValidationSettings = ValidationSettings()
    """what is measured after an epoch"""
    numerics: NumericsSettings = NumericsSettings()
    """what changes the last digits, or only the speed"""
    record: RecordSettings = RecordSettings()
    """what is kept and told on the way"""

    @property
    def epochs(self) -> int:
        """Epochs of all phases."""
        return sum(phase.epochs for phase in self.phase)

    @staticmethod
    def _decay_is_within(optimiser: OptimiserSettings, phase: tuple[Phase, ...]) -> Iterator[str]:
        epochs = sum(one.epochs for one in phase)
        if optimiser.decay_epochs > epochs:
            yield (
                f"optimiser.decay_epochs = {optimiser.decay_epochs}: the run has {epochs} epochs; "
                "choose at most as many"
            )

    @staticmethod
    def _pairs_where_pairs_are_needed(objective: Objective, data: DataSettings) -> Iterator[str]:
        if objective.kind != "cyclegan" and data.pairing != "paired":
            yield (
                f"data.pairing = {data.pairing!r}: {objective.kind} compares an output with its "
                'own target; say "paired"'
            )


def train_config(path: Path, overrides: Mapping[str, Any]) -> TrainConfig:
    """The [train] section of a preset with what a command line says otherwise."""
    return read_section(TrainConfig, path, "train", overrides, "one of configs/")
