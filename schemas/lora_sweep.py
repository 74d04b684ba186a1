"""A sweep of LoRAs: some settings of a preset in every combination, told by their loss.

`[lora_sweep]` of a file of its own. Unlike heads, which are chosen in two phases by what they close
of a gap, LoRAs are compared by one number, so one phase is enough.
"""

from __future__ import annotations

from dataclasses import field
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from schemas.lora import SECTION, LoraConfig
from schemas.overrides import merged
from schemas.settings import FILLED, POSITIVE, read_toml, resolve, settings
from schemas.slurm import SlurmSettings

SWEEP_SECTION = "lora_sweep"


@settings
class LoraSweep:
    """All of a sweep."""

    preset: Annotated[str, FILLED]
    """preset with a [lora] section, beside this file"""
    axes: Annotated[
        dict[str, Annotated[tuple[float, ...], MinLen(1)]],
        MinLen(1),
        MaxLen(2),
    ]
    """values of settings by their paths; the rows of the table first"""
    seeds: Annotated[tuple[int, ...], MinLen(1)] = (0,)
    """each cell is trained with each of these"""
    over: dict[str, dict[str, int | float | str | bool]] = field(default_factory=dict)
    """what all cells have instead of the preset's, by section"""
    at_once: Annotated[int, POSITIVE, Ge(1), Le(10_000)] = 4
    """cells that train at the same time on Slurm"""


@settings
class LoraCell:
    """One training run of a sweep."""

    values: dict[str, float]
    """what it is trained with, by the paths of the axes"""
    seed: int
    """its seed"""
    config: LoraConfig
    """what it resolves to"""

    @property
    def name(self) -> str:
        """Its folder in the sweep's, as rank-16-learning_rate-5e-05-seed-0."""
        parts = [f"{path.rpartition('.')[2]}-{value:g}" for path, value in self.values.items()]
        return "-".join([*parts, f"seed-{self.seed}"])


def read_lora_sweep(path: Path) -> tuple[LoraSweep, SlurmSettings, list[LoraCell]]:
    """The [lora_sweep] section of a file, how its jobs are asked for, and its cells."""
    tables = read_toml(path)
    slurm = resolve(SlurmSettings, tables.get("slurm", {}), f"{path} [slurm]")
    sweep = resolve(LoraSweep, tables[SWEEP_SECTION], f"{path} [{SWEEP_SECTION}]")
    preset = path.parent / sweep.preset
    plain: dict[str, Any] = read_toml(preset).get(SECTION, {})
    cells = []
    for values in product(*sweep.axes.values()):
        mine = dict(zip(sweep.axes, values, strict=True))
        for seed in sweep.seeds:
            over = merged(sweep.over, {"seed": seed})
            for where, value in mine.items():
                over = merged(over, _at(where, value))
            told = f"{preset} [{SECTION}] as {path} has it"
            config = resolve(LoraConfig, merged(plain, over), told)
            cells.append(LoraCell(values=mine, seed=seed, config=config))
    return sweep, slurm, cells


def _at(path: str, value: float) -> dict[str, Any]:
    *sections, last = path.split(".")
    # A rank is a whole number, which TOML's lists of numbers may have made a float.
    table: dict[str, Any] = {last: int(value) if float(value).is_integer() else value}
    for section in reversed(sections):
        table = {section: table}
    return table
