"""What a report of an audit is computed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metrics.correction import ConfusionMatrix
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
