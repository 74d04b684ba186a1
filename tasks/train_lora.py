"""What a LoRA's training learns: pictures with texts, the noise in their latents, one adapter."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from models.stable_diffusion.parts import Parts, find_parts, identity_of, load_parts
from schemas.lora import LoraConfig
from schemas.seeds import stable_hash
from schemas.settings import as_plain, fingerprint
from schemas.training import TrainingRecord
from tasks.lora.kept_adapter import keep_adapter, keep_previews
from tasks.lora.kept_latents import KeptLatents, keep_latents, remove_latents
from tasks.lora.learner import (
    LoraLearner,
    Shown,
    check_precision,
    check_warmup,
    dtype_of,
)
from tasks.lora.pictures import PhotoBatch, PhotoBatches
from tasks.lora.samples import LoraSamples
from tasks.lora.sampling import held_out_slots
from tasks.training.course import Course, Job, Leg, Losses, Measured, Position, TrainerSettings
from tasks.training.dataset import made_by
from tasks.training.held_out import HeldOut
from tasks.training.learning_rates import warmed_up
from tasks.training.pictures import loaded
from tasks.training.ranks import Ranks

_MODEL = "lora.model"
_OF_PLACE = ("model", "revision")


@dataclass(frozen=True, slots=True)
class LoraJob(Job):
    """What a process that trains a LoRA is told."""

    config: LoraConfig
    dataset: Path
    run: Path
    captions: Path | None = None

    @property
    def settings(self) -> TrainerSettings:
        """What the trainer has to know."""
        return TrainerSettings.of("lora", self.config)

    def course(self, ranks: Ranks, device: torch.device) -> LoraCourse:
        """What one process learns."""
        return LoraCourse(self, ranks, device)

    def record(self, processes: int) -> TrainingRecord:
        """What the run is made by."""
        config = self.config
        model = identity_of(find_parts(config.model, config.revision, _MODEL))
        samples = self.samples(Ranks(0, processes, 0))
        # Before anything else is fixed: a dataset that is not whole has its own line.
        inputs = {"model": fingerprint(model.weights)}
        # Where the model lies is no part of it, what it is is.
        told = {key: one for key, one in as_plain(config).items() if key not in _OF_PLACE}
        made = made_by(self.dataset, told, processes, inputs=inputs)
        inputs["texts"] = samples.texts_fingerprint()
        # Refuses pictures without a text, and phases that fill no step.
        assert samples.portions
        return replace(made, inputs=inputs)

    def samples(self, ranks: Ranks) -> LoraSamples:
        """The samples to train on."""
        return LoraSamples(self.dataset, self.captions, self.config, ranks)

    def num_steps(self, processes: int) -> int:
        """Steps of the whole run with so many processes."""
        return sum(len(leg.epochs) * leg.num_steps for leg in self.legs(Ranks(0, processes, 0)))

    def legs(self, ranks: Ranks) -> list[Leg]:
        """The phases of the run."""
        samples, epochs = self.samples(ranks), self.config.data.phase_epochs
        return [
            Leg(
                number=number,
                epochs=range(number * epochs, (number + 1) * epochs),
                num_steps=samples.num_steps(number),
                images_per_step=samples.step_images,
            )
            for number in range(len(samples.portions))
        ]

    def shards(self) -> list[str]:
        """The shards that it trains on."""
        return self.samples(Ranks()).shards()

    def reading(self, dataset: Path) -> LoraJob:
        """The same with a copy of the dataset."""
        return replace(self, dataset=dataset)


class LoraCourse(Course[PhotoBatch]):
    """One process of a LoRA's training."""

    def __init__(self, job: LoraJob, ranks: Ranks, device: torch.device) -> None:
        self._job, self._config, self._ranks = job, job.config, ranks
        check_precision(job.config.numerics.precision, device)
        self._samples = job.samples(ranks)
        self._legs = job.legs(ranks)
        check_warmup(job.config.optimiser, self._schedule_steps(self._legs[-1]))
        self._parts = _load(job.config, device)
        self.learner = LoraLearner(job.config, self._parts, ranks, device)
        self._latents: KeptLatents | None = None
        self._measured = held_out_slots(
            len(self._samples.measured), job.config.seed, self._parts.schedule.num_steps
        )
        self.num_samples = len(self._samples.ids())
        self.num_parameters = sum(one.numel() for one in self.learner.parameters)

    @property
    def optimisers(self) -> Iterable[Optimizer]:
        """The one of the adapter."""
        return [self.learner.optimiser]

    def legs(self) -> Sequence[Leg]:
        """Portions of the pictures, each seen for some epochs."""
        return self._legs

    def begin(self, leg: Leg) -> None:
        """Forget the moments, where each phase is to begin anew."""
        if self._config.optimiser.restart:
            self.learner.restart()

    def prepare(self, leg: Leg) -> Generator[None]:
        """Encode the pictures of the leg's phase, where latents are kept."""
        data = self._config.data
        if data.cache:
            self._latents = yield from keep_latents(
                self._job.run,
                leg.number,
                self._samples.portions[leg.number],
                self._parts,
                self._ranks,
                flip=data.flip,
                skip=data.damaged == "skip",
            )

    def batches(self, leg: Leg, epochs: range, first_step: int) -> Generator[PhotoBatch]:
        """Pictures with their texts; where latents are kept, no pictures."""
        data, photos = self._config.data, self._samples.portions[leg.number]
        batches = PhotoBatches(
            photos,
            self._samples.order(leg.number, self._parts.schedule.num_steps),
            self._ranks.share(data.step_images),
            damaged=data.damaged,
            unreadable=None if self._latents is None else self._latents.unreadable,
        )
        places = [(epoch, step) for epoch in epochs for step in range(leg.num_steps)]
        return loaded(batches, places[first_step:], data.loader_workers)

    def learning_rate(self, at: Position) -> float:
        """A warmup, and then half a cosine over the run, or over each phase."""
        settings = self._config.optimiser
        leg = next(one for one in self._legs if at.epoch in one.epochs)
        step = at.steps_done
        if settings.restart:
            step = (at.epoch - leg.epochs.start) * leg.num_steps + at.step
        return warmed_up(
            settings.learning_rate,
            step,
            self._schedule_steps(leg),
            warmup_steps=settings.warmup_steps,
            fall=settings.schedule,
        )

    def step(self, leg: Leg, batch: PhotoBatch) -> Losses:
        """One step on a batch, worked out in as many parts as are accumulated."""
        seed = stable_hash(self._config.seed, *batch.place, self._ranks.rank, "dropout")
        size = self._config.data.batch_size
        encoded = None if self._latents is None else self._latents.of(batch.slots)
        pieces = [
            Shown(
                batch.slots[part],
                batch.texts[part],
                None if batch.levels is None else batch.levels[part],
                None if encoded is None else encoded[part],
            )
            for begin in range(0, len(batch.slots), size)
            for part in [slice(begin, begin + size)]
        ]
        return self.learner.step(pieces, seed)

    def measure(self, epochs: int) -> Measured | None:
        """The loss of held-out pictures; their steps and noise are the same at every epoch."""
        if epochs % self._config.validation.every_epochs and epochs != self._legs[-1].epochs.stop:
            return None
        size, photos = self._config.data.batch_size, self._samples.measured
        mine = list(range(len(photos)))[self._ranks.rank :: self._ranks.count]
        held_out = HeldOut(mine, photos.levels, damaged=self._config.data.damaged)
        losses = self.learner.held_out_losses(
            Shown(
                [self._measured[one] for one, _ in some],
                [photos.texts[one] for one, _ in some],
                torch.stack([levels for _, levels in some]),
            )
            for some in held_out.batches(size)
        )
        found = self._ranks.gathered(torch.cat(losses).tolist() if losses else [])
        split = self._config.validation.of
        alarms = held_out.alarms(self._ranks, f"pictures of {split}", self._job.dataset)
        every = [one for own in found for one in own]
        # What was learned from is no proof, and has another name.
        name = "loss" if split == "validation" else "loss_of_train"
        value = sum(every) / len(every)
        return Measured(values={name: value}, by=name, less_is_better=True, alarms=alarms)

    def keep(self, epochs: int, images_seen: int, best: bool) -> None:
        """The previews, and the adapter where it is to be published."""
        keep_previews(self._job.run, self._config, self._parts, self._samples.size_px, epochs)
        if best or self._config.validation.publish == "last":
            keep_adapter(
                self._job.run,
                self._config,
                self._samples,
                self._parts,
                epochs=epochs,
                images_seen=images_seen,
            )

    def end(self) -> None:
        """Nothing reads latents any more."""
        self._latents = None
        remove_latents(self._job.run, self._ranks)

    def state(self) -> dict[str, Any]:
        """The adapter, its moments, and the scale of the loss."""
        return self.learner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        self.learner.load_state(state)

    def _schedule_steps(self, leg: Leg) -> int:
        """Steps of a schedule: of the run, or of a phase where each begins anew."""
        legs = [leg] if self._config.optimiser.restart else self._legs
        return sum(len(one.epochs) * one.num_steps for one in legs)


def _load(config: LoraConfig, device: torch.device) -> Parts:
    checkpoint = find_parts(config.model, config.revision, _MODEL)
    return load_parts(checkpoint, device=device, dtype=dtype_of(config.numerics.precision))
