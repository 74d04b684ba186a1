"""A sweep: which settings are tried, in two phases, and how one of them is chosen.

`[sweep]` of a file of its own. A grid names the preset that its cells are made from; what the
phases say differently goes over every preset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MinLen

from schemas.overrides import merged
from schemas.settings import FILLED, POSITIVE, read_toml, resolve, settings
from schemas.slurm import SlurmSettings
from schemas.train import Phase, TrainConfig

PhaseName = Literal["screen", "final"]
PHASES: tuple[PhaseName, ...] = ("screen", "final")


@settings
class SweepPhase:
    """What all cells of a phase train on."""

    phase: Annotated[tuple[Phase, ...], MinLen(1)]
    """fraction, size and epochs, instead of the preset's"""
    decay_epochs: Annotated[int, Ge(0)] = 0
    """last epochs over which the rate falls"""
    seeds: Annotated[tuple[int, ...], MinLen(1)] = (0,)
    """each cell is trained with each of these"""


@settings
class Grid:
    """Cells that differ in some settings: a table of the paper."""

    name: Annotated[str, FILLED]
    """what its cells are called"""
    title: Annotated[str, FILLED]
    """what its table is called"""
    preset: Annotated[str, FILLED]
    """preset with a [train] section, beside this file"""
    axes: dict[str, Annotated[tuple[float, ...], MinLen(1)]]
    """values of settings by their paths; the rows of the table first"""

    @staticmethod
    def _a_table_has_two_sides(axes: dict[str, tuple[float, ...]]) -> Iterator[str]:
        if not 1 <= len(axes) <= 2:
            yield f"axes: {len(axes)} are given; a table has rows and perhaps columns, so 1 or 2"


@settings
class SweepConfig:
    """All of a sweep."""

    grid: Annotated[tuple[Grid, ...], MinLen(1)]
    """tables of cells"""
    screen: SweepPhase
    """the first phase: every cell, small"""
    final: SweepPhase
    """the second phase: the best few, with several seeds"""
    finalists: Annotated[int, POSITIVE, Le(100)] = 3
    """cells that go to the second phase"""
    identity_floor: Annotated[float, Ge(0), Le(1)] = 0.8
    """a cell whose outputs keep less of their sources than this (SSIM) is not chosen"""
    at_once: Annotated[int, POSITIVE, Le(10_000)] = 4
    """cells that train at the same time on Slurm"""

    @staticmethod
    def _grids_have_names(grid: tuple[Grid, ...]) -> Iterator[str]:
        names = [one.name for one in grid]
        if len(set(names)) != len(names):
            yield f"grid.name = {names}: should not repeat itself"


@settings
class Cell:
    """One training run of a sweep."""

    phase: PhaseName
    """which phase it belongs to"""
    grid: str
    """which table it belongs to"""
    values: dict[str, float] = field(default_factory=dict)
    """what it is trained with, by the paths of the axes"""
    seed: int = 0
    """its seed"""
    config: TrainConfig
    """what it resolves to"""

    @property
    def place(self) -> str:
        """Its place in the table, whatever the seed, as cyclegan-lambda_cycle-10."""
        parts = [f"{path.rpartition('.')[2]}-{value:g}" for path, value in self.values.items()]
        return "-".join([self.grid, *parts])

    @property
    def name(self) -> str:
        """Its folder in the sweep's."""
        return f"{self.phase}/{self.place}-seed-{self.seed}"


def read_sweep(path: Path) -> tuple[SweepConfig, SlurmSettings]:
    """The [sweep] section of a file, and how its jobs are asked for."""
    tables = read_toml(path)
    sweep = tables.get("sweep")
    if not isinstance(sweep, dict):
        raise ValueError(f"{path}: has no [sweep] section; use configs/sweep.toml, or write one")
    slurm = resolve(SlurmSettings, tables.get("slurm", {}), f"{path} [slurm]")
    return resolve(SweepConfig, sweep, f"{path} [sweep]"), slurm


def cells_of(sweep: SweepConfig, name: PhaseName, origin: Path) -> list[Cell]:
    """Every cell of a phase, in the order of the tables."""
    phase: SweepPhase = getattr(sweep, name)
    return [
        _cell(name, phase, grid, values, seed, origin)
        for grid in sweep.grid
        for values in _combinations(grid.axes)
        for seed in phase.seeds
    ]


def _cell(
    name: PhaseName,
    phase: SweepPhase,
    grid: Grid,
    values: dict[str, float],
    seed: int,
    origin: Path,
) -> Cell:
    from schemas.settings import as_plain

    path = origin.parent / grid.preset
    tables: dict[str, Any] = read_toml(path).get("train", {})
    over: dict[str, Any] = {
        "seed": seed,
        "phase": as_plain(phase)["phase"],
        "optimiser": {"decay_epochs": phase.decay_epochs},
    }
    for where, value in values.items():
        *sections, last = where.split(".")
        inner: dict[str, Any] = {last: value}
        for section in reversed(sections):
            inner = {section: inner}
        over = merged(over, inner)
    told = f"{path} [train] as grid {grid.name!r} of {origin} has it"
    config = resolve(TrainConfig, merged(tables, over), told)
    return Cell(phase=name, grid=grid.name, values=values, seed=seed, config=config)


def _combinations(axes: dict[str, tuple[float, ...]]) -> Iterator[dict[str, float]]:
    from itertools import product

    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))
