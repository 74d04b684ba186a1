"""What the cells of a sweep have reached, which one is chosen, and which are tied.

Reads metrics.jsonl alone, so a sweep that still runs has results too. The paper prints the lowest
GAN loss; that sum contains lambda times the cycle, so cells are not compared by it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from schemas.sweep import Cell, SweepConfig
from tasks.training.log import METRICS

PARTS = ("gan_target", "gan_source", "cycle")


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell, as far as it has come."""

    cell: Cell
    epochs: int
    """epochs that are logged"""
    loss: float
    """lowest mean of the generators' whole loss over an epoch"""
    parts: Mapping[str, float]
    """the parts of that mean, without their weights"""
    ssim_cycle: float
    """highest SSIM of the full cycle on validation"""
    closure: float
    """closure on validation of the kept head"""
    identity: float
    """SSIM of outputs to their sources at that measurement"""
    since_best: int = 0
    """measurements since that of the kept head"""

    @property
    def done(self) -> bool:
        """Whether all its epochs are logged, or nothing better came for as long as it waits."""
        patience = self.cell.config.validation.patience
        converged = patience is not None and self.since_best >= patience
        return converged or self.epochs >= self.cell.config.epochs


class NoFinalist(ValueError):
    """The first phase is done, and nothing of it may go on."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One place of the tables, over its seeds."""

    place: str
    closure: float
    spread: float
    """largest less smallest closure of its seeds"""
    identity: float
    seeds: int
    tied: bool
    """whether its distance to the best is within the seeds' spread"""


def result_of(cell: Cell, run: Path) -> CellResult:
    """What a cell has reached."""
    lines = _lines(run / METRICS)
    steps = [one for one in lines if one["kind"] == "step"]
    measured = [one for one in lines if one["kind"] == "epoch" and "closure" in one]
    means = [
        {name: fmean(one[name] for one in rows) for name in ("loss", *PARTS) if name in rows[0]}
        for rows in _by_epoch(steps)
    ]
    best = min(means, key=lambda one: one["loss"], default={})
    # As the trainer keeps it: by the loss where there is one on validation.
    worth = [-one["loss"] if "loss" in one else one["closure"] for one in measured]
    place = max(range(len(worth)), key=worth.__getitem__, default=0)
    kept = measured[place] if measured else {}
    return CellResult(
        cell=cell,
        epochs=max((one["epoch"] for one in measured), default=0),
        loss=best.get("loss", math.nan),
        parts={name: best[name] for name in PARTS if name in best},
        ssim_cycle=max((one.get("ssim_cycle", math.nan) for one in measured), default=math.nan),
        closure=kept.get("closure", math.nan),
        identity=kept.get("ssim_source", math.nan),
        since_best=max(len(measured) - 1 - place, 0),
    )


def standings(results: Sequence[CellResult], identity_floor: float) -> list[Standing]:
    """Places by their closure, the best first; those that change people too much are left out."""
    places: dict[str, list[CellResult]] = {}
    for one in results:
        if one.done and math.isfinite(one.closure):
            places.setdefault(one.cell.place, []).append(one)
    found = []
    for place, members in places.items():
        closures = [one.closure for one in members]
        identity = fmean(one.identity for one in members)
        if identity >= identity_floor:
            spread = max(closures) - min(closures)
            found.append((fmean(closures), spread, identity, len(members), place))
    found.sort(reverse=True)
    return [
        Standing(
            place=place,
            closure=closure,
            spread=spread,
            identity=identity,
            seeds=seeds,
            tied=number > 0 and found[0][0] - closure <= max(spread, found[0][1]),
        )
        for number, (closure, spread, identity, seeds, place) in enumerate(found)
    ]


def finalists(results: Sequence[CellResult], sweep: SweepConfig) -> list[str]:
    """The places that go to the second phase; NoFinalist when none may."""
    chosen = [one.place for one in standings(results, sweep.identity_floor)][: sweep.finalists]
    if not chosen:
        raise NoFinalist(
            f"sweep.identity_floor = {sweep.identity_floor:g}: no cell keeps that much of its "
            "sources; look at the grids, and lower it or raise lambda"
        )
    return chosen


def _by_epoch(steps: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    epochs: dict[int, list[Mapping[str, Any]]] = {}
    for one in steps:
        if "loss" in one:
            epochs.setdefault(one["epoch"], []).append(one)
    return list(epochs.values())


def _lines(path: Path) -> list[dict[str, Any]]:
    found = []
    try:
        for line in path.read_bytes().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue  # it is being written
    except FileNotFoundError:
        return []
    return found
