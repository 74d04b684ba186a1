"""The samples that a training run has, phase by phase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.run import Run
from schemas.train import Phase, TrainConfig
from shards.plan import read_plan
from shards.reader import Reader
from shards.run import read_run
from tasks.ranks import Ranks
from tasks.sampling import Order, make_order, training_positions
from tasks.training_pictures import TrainingPictures, crop_side_px


@dataclass(frozen=True, slots=True)
class TrainJob:
    """What a training process is told."""

    config: TrainConfig
    dataset: Path
    run: Path
    # Samples that training is confined to, where a selection was given.
    selection: frozenset[str] | None = None
    # The folder of published weights that LPIPS is read from.
    weights: Path = Path("weights")


class TrainingSamples:
    """Finished samples of train, never of validation or test."""

    def __init__(self, job: TrainJob, ranks: Ranks) -> None:
        self._job, self._ranks = job, ranks
        self.run: Run = read_run(job.dataset)
        self._rows = Reader(job.dataset, "train").rows.select(["id", "name", "nconst", "shard"])
        ids = self._rows.column("id").to_pylist()
        plan = read_plan(job.dataset)
        fractions = {phase.fraction for phase in job.config.phase}
        self._positions = {
            one: training_positions(ids, plan, one, job.selection) for one in fractions
        }
        self.outside = len(job.selection.difference(ids)) if job.selection else 0
        """samples of the selection that are not of train"""
        self.ids = {ids[place] for places in self._positions.values() for place in places}

    def phases(self) -> Iterator[tuple[Phase, range]]:
        """Each phase with its epochs, counted through the whole run."""
        begin = 0
        for phase in self._job.config.phase:
            yield phase, range(begin, begin + phase.epochs)
            begin += phase.epochs

    def order(self, phase: Phase) -> Order:
        """The order of a phase's samples; ValueError when they do not fill a batch."""
        return make_order(
            self._rows.take(self._positions[phase.fraction]),
            self._job.config.data.pairing,
            self._job.config.seed,
            phase.batch_size * self._ranks.count,
            str(self._job.dataset),
        )

    def pictures(self, phase: Phase, order: Order) -> TrainingPictures:
        """This process's share of a phase's batches."""
        return TrainingPictures(
            self._job.dataset,
            self._positions[phase.fraction],
            order,
            self._job.config.data,
            self.side_px(phase),
            self._ranks.share(phase.batch_size),
        )

    def side_px(self, phase: Phase) -> int:
        """The side of a phase's crops."""
        return crop_side_px(self.run.config.dataset.size_px, phase)

    def shards(self) -> list[str]:
        """The shards that hold these samples."""
        places = sorted({int(place) for places in self._positions.values() for place in places})
        found: list[str] = self._rows.column("shard").take(places).unique().to_pylist()
        return found

    def num_steps(self) -> int:
        """Steps of the whole run."""
        return sum(self.order(phase).num_steps * phase.epochs for phase, _ in self.phases())
