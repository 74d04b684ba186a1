"""The samples that a training run has, phase by phase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from schemas.run import Run
from schemas.train import Phase, TrainConfig
from shards.plan import read_plan
from shards.reader import Reader
from shards.run import read_run
from tasks.training.pictures import TrainingPictures, crop_side_px
from tasks.training.ranks import Ranks
from tasks.training.sampling import Order, make_order, training_positions


class TrainingSamples:
    """Finished samples of train, never of validation or test."""

    def __init__(
        self, dataset: Path, config: TrainConfig, selection: frozenset[str] | None, ranks: Ranks
    ) -> None:
        self._dataset, self._config, self._ranks = dataset, config, ranks
        self.run: Run = read_run(dataset)
        self._rows = Reader(dataset, "train").rows.select(["id", "name", "nconst", "shard"])
        ids = self._rows.column("id").to_pylist()
        plan = read_plan(dataset)
        fractions = {phase.fraction for phase in config.phase}
        self._positions = {one: training_positions(ids, plan, one, selection) for one in fractions}
        self.outside = len(selection.difference(ids)) if selection else 0
        """samples of the selection that are not of train"""
        self.ids = {ids[place] for places in self._positions.values() for place in places}

    def phases(self) -> Iterator[tuple[Phase, range]]:
        """Each phase with its epochs, counted through the whole run."""
        begin = 0
        for phase in self._config.phase:
            yield phase, range(begin, begin + phase.epochs)
            begin += phase.epochs

    def order(self, phase: Phase) -> Order:
        """The order of a phase's samples; ValueError when they do not fill a batch."""
        return make_order(
            self._rows.take(self._positions[phase.fraction]),
            self._config.data.pairing,
            self._config.seed,
            phase.batch_size * self._ranks.count,
            str(self._dataset),
        )

    def pictures(self, phase: Phase, order: Order) -> TrainingPictures:
        """This process's share of a phase's batches."""
        return TrainingPictures(
            self._dataset,
            self._positions[phase.fraction],
            order,
            self._config.data,
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
