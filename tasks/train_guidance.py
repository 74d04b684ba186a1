"""What guidance learns, for the one trainer: face pairs, a UNet beside its teacher, their loss."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from models.checksums import sha256_of
from models.features.vision_hub import weight_files
from models.stable_diffusion.parts import find_parts, identity_of, load_parts
from models.stable_diffusion.unet_folder import save_unet
from schemas.endings import ends_the_run
from schemas.guide import DinoDistance, GuideConfig
from schemas.run import FileIdentity
from schemas.settings import as_plain, fingerprint
from schemas.training import TrainingRecord
from shards.plan import read_plan
from shards.reader import Reader
from shards.run import read_run
from tasks.guidance.card import guide_card
from tasks.guidance.learner import GuideLearner
from tasks.guidance.pairs import GuideBatch, GuideBatches, GuidePairs, Pair, stacked
from tasks.lora.sampling import PhotoOrder, PhotoSlot, held_out_slots
from tasks.training.course import Course, Job, Leg, Losses, Measured, Position, TrainerSettings
from tasks.training.dataset import made_by, refuse_lacking
from tasks.training.held_out import HeldOut
from tasks.training.pictures import loaded
from tasks.training.ranks import Ranks
from tasks.training.sampling import training_positions

UNET = "unet"
_SETTING = "guide.model"


@dataclass(frozen=True, slots=True)
class GuideJob(Job):
    """What a process that guides a model is told."""

    config: GuideConfig
    dataset: Path
    run: Path
    # Pairs that training is confined to, and the file that says so, where one was given.
    selection: frozenset[str] | None = None
    selected_by: FileIdentity | None = None

    @property
    def settings(self) -> TrainerSettings:
        """What the trainer has to know."""
        return TrainerSettings.of("guide", self.config)

    def course(self, ranks: Ranks, device: torch.device) -> GuideCourse:
        """What one process learns."""
        return GuideCourse(self, ranks, device)

    def record(self, processes: int) -> TrainingRecord:
        """What the run is made by."""
        for stage in ("good", "bad", "mask"):
            refuse_lacking(self.dataset, (stage,), "guidance learns from relume facepairs' pairs")
        config = as_plain(self.config)
        # Where models lie is no part of it, what they are is: see inputs.
        for section in (config, config["distance"]):
            section.pop("model", None)
            section.pop("revision", None)
        return made_by(
            self.dataset,
            config,
            processes,
            selection=self.selected_by,
            inputs=self._inputs(),
        )

    def pairs(self) -> GuidePairs:
        """The pairs to train on, in the order of the plan's draw."""
        ids = Reader(self.dataset, "train").rows.column("id").to_pylist()
        plan = read_plan(self.dataset)
        return GuidePairs(
            self.dataset, "train", training_positions(ids, plan, None, self.selection)
        )

    def order(self, ranks: Ranks, count: int) -> PhotoOrder:
        """The order of the pairs; ValueError when they do not fill a step."""
        config = self.config
        order = PhotoOrder(
            count=count,
            batch_size=config.data.step_pairs * ranks.count,
            seed=config.seed,
            flip=False,
            text_dropout=config.data.text_dropout,
            timesteps=config.t_end,
        )
        if not order.num_steps:
            raise ValueError(
                f"{self.dataset}: {count} pairs of train do not fill a step of {order.batch_size}; "
                "lower guide.data.batch_size or accumulation, or use fewer processes"
            )
        return order

    def num_steps(self, processes: int) -> int:
        """Steps of the whole run with so many processes."""
        order = self.order(Ranks(0, processes, 0), len(self.pairs()))
        return order.num_steps * self.config.epochs

    def shards(self) -> list[str]:
        """The shards that it trains on."""
        return self.pairs().shards()

    def reading(self, dataset: Path) -> GuideJob:
        """The same with a copy of the dataset."""
        return replace(self, dataset=dataset)

    def _inputs(self) -> dict[str, str]:
        """Which model is guided, and which DINO compares, by their weights."""
        model = identity_of(find_parts(self.config.model, self.config.revision, _SETTING))
        inputs = {"model": fingerprint(model.weights)}
        if isinstance(distance := self.config.distance, DinoDistance):
            (weights,) = weight_files(distance.model, distance.revision)
            files = [weights, weights.with_name("config.json")]
            sums = sha256_of(files)
            inputs["dino"] = fingerprint({path.name: sums[path] for path in files})
        return inputs


class GuideCourse(Course[GuideBatch]):
    """One process that guides a UNet."""

    def __init__(self, job: GuideJob, ranks: Ranks, device: torch.device) -> None:
        self._job, self._config, self._ranks, self._device = job, job.config, ranks, device
        self._pairs = job.pairs()
        self._held_out = GuidePairs(job.dataset, "validation")
        if not len(self._held_out):
            raise ValueError(
                f"{job.dataset}: has no pair in validation, by which learning is told; "
                "make pairs of that split too"
            )
        self._order = job.order(ranks, len(self._pairs))
        self._checkpoint = find_parts(self._config.model, self._config.revision, _SETTING)
        parts = load_parts(
            self._checkpoint,
            device=device,
            dtype=getattr(torch, self._config.numerics.precision),
            unet_dtype=torch.float32,
        )
        self._refuse_other_size(parts.schedule.num_steps)
        self.learner = GuideLearner(self._config, parts, ranks, device)
        self.num_samples = len(self._pairs)
        self.num_parameters = sum(one.numel() for one in self.learner.trained.values())
        chosen = job.selection or frozenset()
        if chosen:
            known = Reader(job.dataset, "train").rows.column("id").to_pylist()
            self.outside = len(chosen.difference(known))

    @property
    def optimisers(self) -> Iterable[Optimizer]:
        """The student's."""
        return (self.learner.optimiser,)

    def legs(self) -> Sequence[Leg]:
        """All epochs alike."""
        order = self._order
        return [
            Leg(
                number=0,
                epochs=range(self._config.epochs),
                num_steps=order.num_steps,
                images_per_step=order.batch_size,
            )
        ]

    def batches(self, leg: Leg, epochs: range, first_step: int) -> Generator[GuideBatch]:
        """Pairs with their masks and texts."""
        data = self._config.data
        pairs = GuideBatches(
            self._pairs, self._order, self._ranks.share(data.step_pairs), damaged=data.damaged
        )
        steps = range(leg.num_steps)
        places = [(epoch, step) for epoch in epochs for step in steps][first_step:]
        return loaded(pairs, places, data.loader_workers)

    def learning_rate(self, at: Position) -> float:
        """Always the same."""
        return self._config.optimiser.learning_rate

    def step(self, leg: Leg, batch: GuideBatch) -> Losses:
        """One step on a batch."""
        return self.learner.step(batch.pieces(self._config.data.batch_size))

    def measure(self, epochs: int) -> Measured | None:
        """The guidance loss of held-out pairs, always at the same steps and noise."""
        if epochs % self._config.validation.every_epochs and epochs != self._config.epochs:
            return None
        count = min(self._config.validation.count, len(self._held_out))
        slots = held_out_slots(count, self._config.seed, self._config.t_end)
        mine = range(count)[self._ranks.rank :: self._ranks.count]
        held_out = HeldOut(mine, self._held_out.pair, damaged=self._config.data.damaged)
        losses = self.learner.held_out_losses(self._batches_of(held_out, slots))
        alarms = held_out.alarms(self._ranks, "pairs of validation", self._job.dataset)
        values = {"loss": self._mean(losses)}
        return Measured(values=values, by="loss", less_is_better=True, alarms=alarms)

    def keep(self, epochs: int, images_seen: int, best: bool) -> None:
        """RUN/unet, in diffusers' layout."""
        if self._config.validation.publish == "best" and not best:
            return
        run = read_run(self._job.dataset).config
        facts = {
            "format": "relume-unet",
            "version": 1,
            "method": "guidance",
            "model": self._checkpoint.model,
            "revision": self._checkpoint.revision,
            "dataset": run.name,
            "pairs_seen": images_seen,
            "epochs": epochs,
            "config": as_plain(self._config),
        }
        with ends_the_run():
            save_unet(
                self._job.run / UNET,
                self._checkpoint.folder / UNET,
                self.learner.trained,
                facts,
                guide_card(self._config, self.num_parameters, facts),
            )

    def state(self) -> dict[str, Any]:
        """The layers that are trained, and their moments."""
        return self.learner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        self.learner.load_state(state)

    def _batches_of(
        self, held_out: HeldOut[Pair], slots: Sequence[PhotoSlot]
    ) -> Iterator[GuideBatch]:
        """This process's share of the held-out pairs, a batch at a time."""
        for some in held_out.batches(self._config.data.batch_size):
            found = [(slots[sample], pair) for sample, pair in some]
            yield stacked(self._held_out, found, [])

    def _mean(self, losses: Sequence[torch.Tensor]) -> float:
        """Over the pairs of all processes, in the order of the processes."""
        mine: list[float] = torch.cat(list(losses)).tolist() if losses else []
        every: list[float] = [one for own in self._ranks.gathered(mine) for one in own]
        return sum(every) / len(every)

    def _refuse_other_size(self, num_steps: int) -> None:
        if self._config.t_end > num_steps:
            raise ValueError(
                f"guide.t_end = {self._config.t_end}: {self._config.model} has {num_steps} steps "
                "of noise; choose at most as many"
            )
