"""What a training run learns: the contract between the one trainer and heads, adapters, scorers.

A job is told on a command line and crosses to other processes; its course is built in each of them,
and holds the networks. Neither knows when a run is saved, how it is told, or who asks it to stop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from schemas.train import RecordSettings
from schemas.training import TrainingRecord
from tasks.training.ranks import Ranks

Losses = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run is: before this step of this epoch."""

    epoch: int
    step: int
    steps_done: int
    images_seen: int


class Numerics(Protocol):
    """How the networks of a job calculate, and where."""

    @property
    def precision(self) -> str:
        """The number format of the inner work."""

    @property
    def threads(self) -> int:
        """Of this process on a processor."""

    @property
    def device(self) -> str:
        """auto, cuda or cpu."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerSettings:
    """What the trainer itself has to know of a job's settings."""

    section: str
    """the section of the preset that they stand in, for errors: train"""
    seed: int
    numerics: Numerics
    record: RecordSettings
    max_gradient_norm: float
    """beyond it a gradient stops the run"""
    patience: int | None
    """measurements without a better one after which it ends"""

    @classmethod
    def of(cls, section: str, config: Any) -> TrainerSettings:
        """Of a preset of heads, adapters, scorers or guidance: all have these names."""
        return cls(
            section=section,
            seed=config.seed,
            numerics=config.numerics,
            record=config.record,
            max_gradient_norm=config.optimiser.max_gradient_norm,
            patience=config.validation.patience,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Epochs in a row whose steps see batches of one kind; a preset calls it a phase."""

    number: int
    """which one, from 0"""
    epochs: range
    """its epochs, counted through the whole run"""
    num_steps: int
    """steps of an epoch"""
    images_per_step: int
    """over all processes"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an epoch's result is worth on held-out data."""

    values: dict[str, float]
    by: str
    """the value that tells which epoch is best"""
    less_is_better: bool
    alarms: tuple[str, ...] = ()
    """what a person should look at"""

    @property
    def worth(self) -> float:
        """The more the better."""
        value = self.values[self.by]
        return -value if self.less_is_better else value


class Batch(Protocol):
    """What a step learns from."""

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Samples that others stand in for, and why."""
        ...


BatchT = TypeVar("BatchT", bound=Batch)


class Course(ABC, Generic[BatchT]):
    """What one process of a run learns: its samples, its networks, a step, a measurement."""

    num_samples: int
    num_parameters: int
    """that are learned and published"""
    outside: int = 0
    """samples asked for that are not of train"""

    @property
    @abstractmethod
    def optimisers(self) -> Iterable[Optimizer]:
        """Whose learning rate the trainer sets."""

    @abstractmethod
    def legs(self) -> Sequence[Leg]:
        """The whole run."""

    @abstractmethod
    def batches(self, leg: Leg, epochs: range, first_step: int) -> Generator[BatchT]:
        """This process's batches of some epochs of a leg, the first of them from a step on.

        A function of these and of the seed alone: nothing may be drawn on the way.
        """

    @abstractmethod
    def learning_rate(self, at: Position) -> float:
        """The rate of the step that comes next."""

    @abstractmethod
    def step(self, leg: Leg, batch: BatchT) -> Losses:
        """One step; the losses' means, and the norm of each gradient as `gradient ...`."""

    @abstractmethod
    def measure(self, epochs: int) -> Measured | None:
        """What is there after so many epochs; nothing where no measurement is due."""

    @abstractmethod
    def keep(self, epochs: int, images_seen: int, best: bool) -> None:
        """Write what others use, after a measurement; asked of the first process alone."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What all processes share and a continued run goes on from: tensors, numbers, words."""

    @abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""

    # The rest has an answer for a course that needs nothing special.

    def begin(self, leg: Leg) -> None:
        """Before the first step of a leg."""
        return

    def prepare(self, leg: Leg) -> Iterable[None]:
        """Whatever takes long before the batches of a leg, in pieces that are kept.

        As many in each process: the trainer may be asked to stop after each.
        """
        return ()

    def end(self) -> None:
        """After the state of the last step is saved; again where an ended run is asked for."""
        return

    def own_state(self) -> dict[str, Any]:
        """What this process alone goes on from."""
        return {}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        return


class Job(ABC):
    """What a training process is told: settings and places, no network, so that it can travel.

    Its fields, a frozen dataclass's, hold what the processes have to know.
    """

    dataset: Path
    run: Path

    @property
    @abstractmethod
    def settings(self) -> TrainerSettings:
        """What the trainer has to know."""

    @abstractmethod
    def course(self, ranks: Ranks, device: torch.device) -> Course[Any]:
        """What one process learns; ValueError where the data or the settings will not do."""

    @abstractmethod
    def record(self, processes: int) -> TrainingRecord:
        """What the run is made by; ValueError where its input is not whole."""

    @abstractmethod
    def num_steps(self, processes: int) -> int:
        """Steps of the whole run with so many processes."""

    @abstractmethod
    def shards(self) -> list[str]:
        """The shards of train that it reads."""

    @abstractmethod
    def reading(self, dataset: Path) -> Job:
        """The same with a copy of the dataset."""


Stop = Callable[[], bool]
