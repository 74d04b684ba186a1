"""What a report of an audit is computed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metrics.correction import ConfusionMatrix
from metrics.groups import ATTRIBUTES
from metrics.known_confusions import known_matrices
from metrics.targets import given_target
from schemas.settings import read_toml

Shares = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """What a report is computed with."""

    draws: int = 1000
    """Bootstrap draws of pictures and matrix."""
    seed: int = 0
    """Of every draw and shuffle."""
    small_cell: int = 30
    """Cells of the crossed table with fewer pictures are flagged."""
    near_cosine: float = 0.95
    """Two faces whose embeddings are this alike are near-duplicates."""
    near_bits: int = 4
    """Two pictures whose 64-bit hashes differ in at most so many are near-duplicates."""
    duplicates: bool = True
    """Whether to look for near-duplicates: minutes for 140,000 pictures."""
    most_names: int = 4000
    """Names that the likeness check takes at most, drawn by the seed."""
    permutations: int = 200
    """Shuffles of the names as the likeness check's yardstick."""
    stable_names: int = 20
    """How many of the most stable names are listed."""
    target: Shares | None = None
    """Shares to compare with, by attribute and group."""
    matrices: Mapping[str, Sequence[ConfusionMatrix]] = field(default_factory=known_matrices)
    """The analyser's confusion matrices by attribute, the headline's first."""


def read_matrices(path: Path) -> dict[str, list[ConfusionMatrix]]:
    """Somebody's own confusion matrices: tables of [[gender]], [[age]] and [[ethnicity]].

    Each has a name, a note and counts: for each true group, how often it was perceived as which.
    """
    told = read_toml(path)
    unknown = sorted(set(told) - set(ATTRIBUTES))
    if unknown or not told:
        raise ValueError(
            f"{path}: {unknown[0] if unknown else 'nothing'}: should be [[gender]], [[age]] or "
            "[[ethnicity]]"
        )
    found = {}
    for attribute, tables in told.items():
        if not isinstance(tables, list):
            raise ValueError(f"{path}: [{attribute}]: several may follow, so write [[{attribute}]]")
        found[attribute] = [
            _matrix(one, ATTRIBUTES[attribute], f"{path}: {attribute}[{number}]")
            for number, one in enumerate(tables)
        ]
    return found


def _matrix(told: Any, groups: Sequence[str], where: str) -> ConfusionMatrix:
    name, note, counts = (told.get(key) for key in ("name", "note", "counts"))
    if not (isinstance(name, str) and isinstance(note, str) and isinstance(counts, dict)):
        raise ValueError(f"{where}: should have a name, a note (both text), and tables of counts")
    if set(counts) != set(groups):
        raise ValueError(
            f"{where}.counts: has {', '.join(counts) or 'no group'}; should have a table for each "
            f"of {', '.join(groups)}"
        )
    for group, row in counts.items():
        strange = sorted(set(row) - set(groups)) if isinstance(row, dict) else [row]
        if strange:
            raise ValueError(
                f"{where}.counts.{group}: {strange[0]!r} is no group; write how often it was "
                f"perceived as any of {', '.join(groups)}"
            )
        for seen, count in row.items():
            # A truth value is a number to Python, and NaN is less than nothing.
            if isinstance(count, bool) or not isinstance(count, int | float) or not count >= 0:
                raise ValueError(
                    f"{where}.counts.{group}: {seen} = {count!r}: should be a number from 0"
                )
    rows = [[float(counts[true].get(seen, 0)) for seen in groups] for true in groups]
    try:
        return ConfusionMatrix(name=name, note=note, counts=np.array(rows))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def read_target(path: Path) -> Shares:
    """The shares that a TOML file asks for: a table for each attribute, a number for each group."""
    told = read_toml(path)
    for attribute, shares in told.items():
        if not isinstance(shares, dict):
            raise ValueError(
                f"{path}: {attribute} = {shares!r}: should be a table of shares, [{attribute}]"
            )
    try:
        given_target(told)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return told
