"""What a head's training learns: pairs of pictures, the objective's networks, their average."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from models.features.lpips import load_lpips
from models.heads.enhancer import to_unit
from schemas.run import FileIdentity
from schemas.settings import as_plain
from schemas.train import PairedObjective, TrainConfig
from schemas.training import TrainingRecord
from tasks.heads.kept_head import keep_grid, keep_head
from tasks.heads.learners import build_learner
from tasks.heads.moving_average import MovingAverage
from tasks.heads.samples import TrainingSamples
from tasks.heads.validation import Validation
from tasks.training.course import Course, Job, Leg, Losses, Measured, Position, TrainerSettings
from tasks.training.dataset import made_by, refuse_lacking
from tasks.training.learner import Learner
from tasks.training.pictures import Batch, batches
from tasks.training.ranks import Ranks


@dataclass(frozen=True, slots=True)
class TrainJob(Job):
    """What a process that trains a head is told."""

    config: TrainConfig
    dataset: Path
    run: Path
    # Samples that training is confined to, and the file that says so, where one was given.
    selection: frozenset[str] | None = None
    selected_by: FileIdentity | None = None
    # The folder of published weights that LPIPS is read from.
    weights: Path = Path("weights")

    @property
    def settings(self) -> TrainerSettings:
        """What the trainer has to know."""
        return TrainerSettings.of("train", self.config)

    def course(self, ranks: Ranks, device: torch.device) -> HeadCourse:
        """What one process learns."""
        return HeadCourse(self, ranks, device)

    def record(self, processes: int) -> TrainingRecord:
        """What the run is made by."""
        refuse_lacking(self.dataset, ("source", "target"), "a head is trained on pairs")
        return made_by(self.dataset, as_plain(self.config), processes, selection=self.selected_by)

    def samples(self, ranks: Ranks) -> TrainingSamples:
        """The samples to train on."""
        return TrainingSamples(self.dataset, self.config, self.selection, ranks)

    def num_steps(self, processes: int) -> int:
        """Steps of the whole run with so many processes."""
        return self.samples(Ranks(0, processes, 0)).num_steps()

    def shards(self) -> list[str]:
        """The shards that it trains on."""
        return self.samples(Ranks()).shards()

    def reading(self, dataset: Path) -> TrainJob:
        """The same with a copy of the dataset."""
        return replace(self, dataset=dataset)


class HeadCourse(Course[Batch]):
    """One process of a head's training."""

    def __init__(self, job: TrainJob, ranks: Ranks, device: torch.device) -> None:
        self._job, self._config, self._ranks, self._device = job, job.config, ranks, device
        self.samples = job.samples(ranks)
        self._validation = Validation(job.dataset, job.config, ranks, device)
        self.learner = self._build_learner()
        half_life = job.config.optimiser.ema_half_life_images
        self._average = MovingAverage(self.learner.head, half_life)
        self.num_samples = len(self.samples.ids)
        self.num_parameters = sum(one.numel() for one in self.learner.head.parameters())
        self.outside = self.samples.outside

    @property
    def optimisers(self) -> Iterable[Optimizer]:
        """One for the generators, one for those who judge."""
        return self.learner.optimisers.values()

    def legs(self) -> Sequence[Leg]:
        """The phases of the preset."""
        return [
            Leg(
                number=number,
                epochs=epochs,
                num_steps=order.num_steps,
                images_per_step=order.batch_size,
            )
            for number, (phase, epochs) in enumerate(self.samples.phases())
            for order in [self.samples.order(phase)]
        ]

    def begin(self, leg: Leg) -> None:
        """Forget pictures of another size."""
        for pool in self.learner.pools.values():
            pool.clear()

    def batches(self, leg: Leg, epochs: range, first_step: int) -> Generator[Batch]:
        """Crops of pairs."""
        phase = self._config.phase[leg.number]
        order = self.samples.order(phase)
        pictures = self.samples.pictures(phase, order)
        return batches(pictures, order, self._config.data, epochs, first_step)

    def learning_rate(self, at: Position) -> float:
        """The epoch's."""
        return learning_rate(self._config, at.epoch)

    def step(self, leg: Leg, batch: Batch) -> Losses:
        """One step on a batch."""
        sources, targets = (
            to_unit(levels.to(self._device, non_blocking=True))
            for levels in (batch.sources, batch.targets)
        )
        parts = self._config.phase[leg.number].accumulation
        losses = self.learner.step(sources, targets, parts)
        self._average.follow(len(sources) * self._ranks.count)
        return losses

    def measure(self, epochs: int) -> Measured | None:
        """The closure of the gap on validation, or the loss of Eq. 1."""
        settings = self._config.validation
        if epochs % settings.every_epochs and epochs != self._config.epochs:
            return None
        values = self._validation.measure(self.learner, self._average.head)
        paired = isinstance(self._config.objective, PairedObjective)
        alarms: tuple[str, ...] = ()
        if values.get("ssim_cycle", 1.0) < settings.ssim_alarm:
            alarms = (
                f"the full cycle's SSIM is {values['ssim_cycle']:.3f}, below "
                f"{settings.ssim_alarm}: pictures do not come back as they were",
            )
        return Measured(
            values=values,
            by="loss" if paired else "closure",
            less_is_better=paired,
            alarms=alarms,
        )

    def keep(self, epochs: int, images_seen: int, best: bool) -> None:
        """The grid of pictures, and the head where it is the best."""
        head = self._average.head
        keep_grid(self._job.run, epochs, self._validation.grid(head))
        if best:
            keep_head(self._job.run, self._config, self.samples, head, images_seen)

    def state(self) -> dict[str, Any]:
        """Networks, optimisers and the average."""
        return {"learner": self.learner.state(), "average": self._average.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        self.learner.load_state(state["learner"])
        self._average.load_state(state["average"])

    def own_state(self) -> dict[str, Any]:
        """The pools of earlier pictures."""
        return {side: pool.state_dict() for side, pool in self.learner.pools.items()}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        for side, pool in self.learner.pools.items():
            pool.load_state_dict(state[side], self._device)

    def _build_learner(self) -> Learner:
        perceptual = None
        if isinstance(self._config.objective, PairedObjective):
            perceptual = load_lpips(self._config.objective.perceptual, self._job.weights)
            perceptual.to(self._device)
        return build_learner(self._config, self._ranks, self._device, perceptual)


def learning_rate(config: TrainConfig, epoch: int) -> float:
    """Constant, then a line that would reach 0 one epoch after the last."""
    settings = config.optimiser
    decayed = max(0, epoch + 1 - (config.epochs - settings.decay_epochs))
    return settings.learning_rate * (1 - decayed / (settings.decay_epochs + 1))
