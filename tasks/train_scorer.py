"""What a scorer's training learns: to prefer the good face of a pair (paper 3, Eq. 5)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

from metrics.intervals import wilson
from models.checksums import sha256_of
from models.facescore.learning import ranking_loss
from models.facescore.scorer import files_to_open, open_scorer, scorer_files
from models.heads.folder import write_folder
from schemas.endings import ends_the_run
from schemas.facescore import SCORER_FORMAT
from schemas.sample import Stage
from schemas.score_train import SCORE_SECTION, ScoreTrainConfig
from schemas.seeds import stable_hash
from schemas.settings import as_plain
from schemas.training import TrainingRecord
from shards.plan import read_plan
from shards.reader import Reader
from tasks.facescore.learner import ScoreLearner
from tasks.facescore.pairs import ScoreBatch, ScoreBatches, ScorePairs, score_batches
from tasks.training.course import Course, Job, Leg, Losses, Measured, Position, TrainerSettings
from tasks.training.dataset import made_by, refuse_lacking
from tasks.training.held_out import HeldOut
from tasks.training.learning_rates import warmed_up
from tasks.training.ranks import Ranks
from tasks.training.sampling import Order, make_order, training_positions

SCORER = "scorer"
# Pairs that are measured together.
_BATCH = 16


@dataclass(frozen=True, slots=True)
class ScoreJob(Job):
    """What a process that trains a scorer is told."""

    config: ScoreTrainConfig
    dataset: Path
    run: Path

    @property
    def settings(self) -> TrainerSettings:
        """What the trainer has to know."""
        return TrainerSettings.of(SCORE_SECTION, self.config)

    def course(self, ranks: Ranks, device: torch.device) -> ScoreCourse:
        """What one process learns."""
        return ScoreCourse(self, ranks, device)

    def record(self, processes: int) -> TrainingRecord:
        """What the run is made by."""
        stages: tuple[Stage, ...] = ("good", "bad")
        refuse_lacking(self.dataset, stages, "a scorer is trained on pairs of relume facepairs")
        if self.config.data.region == "mask":
            refuse_lacking(self.dataset, ("mask",), "say data.region = 'picture' to do without")
        weights, beside = files_to_open(Path(self.config.scorer))
        config = as_plain(self.config)
        # Where the first weights lie is no part of it, what they are is.
        del config["scorer"]
        sums = sha256_of([weights, beside])
        inputs = {"scorer": sums[weights], "scorer_config": sums[beside]}
        return made_by(self.dataset, config, processes, inputs=inputs)

    def order(self, processes: int) -> tuple[Order, np.ndarray]:
        """The order of the pairs, and their positions; ValueError when they fill no batch."""
        with Reader(self.dataset, "train") as reader:
            rows = reader.rows.select(["id", "name", "nconst"])
        positions = training_positions(
            rows.column("id").to_pylist(), read_plan(self.dataset), None, None
        )
        batch_size = self.config.batch_size * processes
        samples = rows.take(positions)
        where = str(self.dataset)
        return make_order(samples, "paired", self.config.seed, batch_size, where), positions

    def num_steps(self, processes: int) -> int:
        """Steps of the whole run with so many processes."""
        return self.order(processes)[0].num_steps * self.config.epochs

    def shards(self) -> list[str]:
        """The shards that it reads."""
        with Reader(self.dataset, "train") as reader:
            found: list[str] = reader.rows.column("shard").unique().to_pylist()
        return found

    def reading(self, dataset: Path) -> ScoreJob:
        """The same with a copy of the dataset."""
        return replace(self, dataset=dataset)


class ScoreCourse(Course[ScoreBatch]):
    """One process of a scorer's training."""

    def __init__(self, job: ScoreJob, ranks: Ranks, device: torch.device) -> None:
        self._job, self._config, self._ranks, self._device = job, job.config, ranks, device
        began = open_scorer(Path(job.config.scorer))
        self._began_from = began.weights_sha256
        self._side_px = began.network.shape.image_px
        self._order, self._positions = job.order(ranks.count)
        self.learner = ScoreLearner(began.network, job.config, ranks, device)
        self._held_out = ScorePairs(job.dataset, "validation", job.config.data, self._side_px)
        if not len(self._held_out):
            raise ValueError(
                f"{job.dataset}: has no pairs of validation, on which a scorer is judged"
            )
        self.num_samples = len(self._positions)
        self.num_parameters = sum(
            one.numel() for one in self.learner.network.parameters() if one.requires_grad
        )

    @property
    def optimisers(self) -> Iterable[Optimizer]:
        """One."""
        return [self.learner.optimiser]

    def legs(self) -> Sequence[Leg]:
        """One of all epochs."""
        return [
            Leg(
                number=0,
                epochs=range(self._config.epochs),
                num_steps=self._order.num_steps,
                images_per_step=2 * self._order.batch_size,
            )
        ]

    def batches(self, leg: Leg, epochs: range, first_step: int) -> Generator[ScoreBatch]:
        """Faces of pairs."""
        data = self._config.data
        pairs = ScoreBatches(
            ScorePairs(self._job.dataset, "train", data, self._side_px),
            self._positions,
            self._order,
            data,
            self._ranks.share(self._config.batch_size),
        )
        return score_batches(pairs, self._order, data, epochs, first_step)

    def learning_rate(self, at: Position) -> float:
        """A line up, then half a cosine down to 0 at the end of the run, where it is asked for."""
        settings = self._config.optimiser
        return warmed_up(
            settings.learning_rate,
            at.steps_done,
            self._order.num_steps * self._config.epochs,
            warmup_steps=settings.warmup_steps,
            fall=settings.decay,
        )

    def step(self, leg: Leg, batch: ScoreBatch) -> Losses:
        """One step on a batch."""
        good, bad = (one.to(self._device, non_blocking=True) for one in (batch.good, batch.bad))
        return self.learner.step(good, bad, batch.seed, self._config.accumulation)

    def measure(self, epochs: int) -> Measured | None:
        """The ranking loss and the pair accuracy on validation, with a 95 % interval."""
        every = self._config.validation.every_epochs
        if epochs % every and epochs != self._config.epochs:
            return None
        values, alarms = self._measured()
        return Measured(values=values, by="loss", less_is_better=True, alarms=alarms)

    def keep(self, epochs: int, images_seen: int, best: bool) -> None:
        """The scorer, where it is the best."""
        if best:
            files = scorer_files(self.learner.network, self._began_from)
            with ends_the_run():
                write_folder(self._job.run / SCORER, files, "face scorer", SCORER_FORMAT)

    def state(self) -> dict[str, Any]:
        """Weights and optimiser."""
        return self.learner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        self.learner.load_state(state)

    def _measured(self) -> tuple[dict[str, float], tuple[str, ...]]:
        """What the pairs of validation say; each process looks at its share of them."""
        chosen = self._chosen()[self._ranks.rank :: self._ranks.count]
        held_out = HeldOut(chosen, self._held_out.pair, damaged=self._config.data.damaged)
        told = []
        for some in held_out.batches(_BATCH):
            good, bad = (torch.stack(side) for side in zip(*(p for _, p in some), strict=True))
            told.append(self.learner.scores(good, bad))
        alarms = held_out.alarms(self._ranks, "pairs of validation", self._job.dataset)
        num = sum(len(better) for better, _ in told)
        loss = sum(float(ranking_loss(*pair)) * len(pair[0]) for pair in told)
        right = sum(float((0.5 + 0.5 * (one - other).sign()).sum()) for one, other in told)
        total = np.sum(self._ranks.gathered([num, loss, right]), axis=0)
        num, loss, right = int(total[0]), float(total[1]), float(total[2])
        low, high = wilson(right, num)
        values = {
            "loss": loss / num,
            "accuracy": right / num,
            "accuracy_low": float(low),
            "accuracy_high": float(high),
            "pairs": float(num),
        }
        return values, alarms

    def _chosen(self) -> list[int]:
        """Positions of the pairs that are measured, always the same ones."""
        ids = self._held_out.reader.rows.column("id").to_pylist()
        drawn = sorted(range(len(ids)), key=lambda one: stable_hash("measured", ids[one]))
        return drawn[: self._config.validation.count]
