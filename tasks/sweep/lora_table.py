"""What the LoRAs of a sweep have reached: the loss of each on the same pictures, steps and noise.

Reads metrics.jsonl alone, so a sweep that still runs has results too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from schemas.lora_sweep import LoraCell, LoraSweep
from tasks.text_tables import Table, number
from tasks.training.log import METRICS


@dataclass(frozen=True, slots=True)
class LoraResult:
    """One cell, as far as it has come."""

    cell: LoraCell
    epochs: int
    """epochs that are measured"""
    of: int
    """epochs that it has"""
    losses: tuple[float, ...]
    """of each measurement"""

    @property
    def done(self) -> bool:
        """Whether its last epoch is measured, or nothing better came for as long as it waits."""
        patience = self.cell.config.validation.patience
        converged = patience is not None and self._since_best >= patience
        return converged or self.epochs >= self.of

    @property
    def loss(self) -> float:
        """The last one, which is that of the published adapter by default."""
        return self.losses[-1] if self.losses else math.nan

    @property
    def _since_best(self) -> int:
        """Measurements since the first of the least loss, as the trainer counts them."""
        if not self.losses:
            return 0
        return len(self.losses) - 1 - self.losses.index(min(self.losses))


def lora_result(cell: LoraCell, run: Path, epochs: int) -> LoraResult:
    """What a cell of so many epochs has reached."""
    name = "loss" if cell.config.validation.of == "validation" else "loss_of_train"
    found = []
    if (run / METRICS).exists():
        for line in (run / METRICS).read_bytes().splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                continue  # it is being written
            if told["kind"] == "epoch":
                found.append((int(told["epoch"]), float(told[name])))
    last = max((epoch for epoch, _ in found), default=0)
    return LoraResult(cell, last, epochs, tuple(loss for _, loss in found))


def lora_sweep_table(sweep: LoraSweep, results: Sequence[LoraResult]) -> Table:
    """The loss of each place, the mean of its seeds; the least one with a star."""
    places: dict[tuple[float, ...], list[float]] = {}
    for one in results:
        if one.done:
            places.setdefault(tuple(one.cell.values.values()), []).append(one.loss)
    means = {place: fmean(losses) for place, losses in places.items()}
    least = min(means.values(), default=math.nan)
    (row_path, rows), *others = sweep.axes.items()
    column_path, columns = others[0] if others else ("", ())

    def told(*place: float) -> str:
        mean = means.get(place, math.nan)
        return number(mean, 4) + ("*" if mean == least else "")

    note = (
        "* the least. The loss of diffusion tells little between near ones: look at sheet.png of "
        "each."
    )
    if len(sweep.seeds) > 1:
        widest = max((max(losses) - min(losses) for losses in places.values()), default=math.nan)
        note += f" Seeds of one place differ by {number(widest, 4)} at most."
    return Table(
        title="Loss of held-out pictures after the last epoch",
        head=(
            _short(row_path),
            *([f"{_short(column_path)} {one:g}" for one in columns] or ["loss"]),
        ),
        rows=tuple(
            (f"{row:g}", *([told(row, one) for one in columns] or [told(row)])) for row in rows
        ),
        num_words=1,
        note=note,
    )


def _short(path: str) -> str:
    return path.rpartition(".")[2]
