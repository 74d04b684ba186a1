"""How varied the faces of a population are, which repeat, and what a name explains of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metrics.diversity import Diversity, diversity
from metrics.duplicates import near_by_cosine, near_by_hash, nearest_pairs
from metrics.groups import Codes
from metrics.likeness import (
    Explained,
    explained_variance,
    most_stable,
    number_labels,
    stability_by_chance,
)
from tasks.audit.population import Population
from tasks.audit.settings import ReportSettings

_EXAMPLES = 20
# What a name may explain beside the face: perceived groups, by their probabilities.
_ALSO = ("gender", "age", "ethnicity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """Near-duplicates of one kind: pairs that are near, and pictures that repeat a kept one."""

    by: str
    num_compared: int
    num_pairs: int
    num_repeating: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StableName:
    """A name whose faces are alike over several seeds."""

    name: str
    num_faces: int
    mean_cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """The likeness check: what the name explains of faces and of perceived groups."""

    num_names: int
    num_names_taken: int
    faces: Explained
    groups: dict[str, Explained]
    most_stable: tuple[StableName, ...]
    stable_by_chance: float


def faces_diversity(population: Population) -> Diversity | None:
    """Mean pairwise cosine and Vendi score; None where fewer than two faces have embeddings."""
    rows = population.with_embedding()
    return diversity(population.embeddings[rows]) if len(rows) > 1 else None


def repeats(population: Population, settings: ReportSettings) -> tuple[Repeats, ...]:
    """Near-duplicates by embedding, of the faces, and by hash, of the whole pictures."""
    told = []
    faces = population.with_embedding()
    if len(faces) > 1:
        vectors = population.embeddings[faces]
        found = near_by_cosine(vectors, settings.near_cosine)
        nearest = nearest_pairs(vectors.astype(np.float64), found, _EXAMPLES)
        told.append(
            Repeats(
                by=f"cosine of faces, {settings.near_cosine:g} or more",
                num_compared=len(faces),
                num_pairs=found.num_pairs,
                num_repeating=found.num_dropped,
                examples=_named(population, faces, nearest),
            )
        )
    hashed = np.flatnonzero(population.has_hash)
    if len(hashed) > 1:
        found = near_by_hash(population.hashes[hashed], settings.near_bits)
        again = np.flatnonzero(found.of >= 0)[:_EXAMPLES]
        told.append(
            Repeats(
                by=f"bits of the pictures' hashes, {settings.near_bits} of 64 or fewer differ",
                num_compared=len(hashed),
                num_pairs=found.num_pairs,
                num_repeating=found.num_dropped,
                examples=_named(
                    population, hashed, [(int(found.of[row]), int(row)) for row in again]
                ),
            )
        )
    return tuple(told)


def likeness(
    population: Population, names: Mapping[str, str | None], settings: ReportSettings
) -> Likeness | None:
    """The likeness check over names with two faces or more; None with fewer than two of them."""
    rows = population.with_embedding()
    labels, known = number_labels([names.get(population.ids[row]) for row in rows])
    sizes = np.bincount(labels[labels >= 0], minlength=len(known))
    repeated = np.flatnonzero(sizes > 1)
    if len(repeated) < 2:
        return None
    rng = np.random.default_rng(settings.seed)
    taken = np.sort(rng.permutation(repeated)[: settings.most_names])
    kept = np.isin(labels, taken)
    rows, labels = rows[kept], labels[kept]
    vectors = population.embeddings[rows].astype(np.float64)
    chance = {"permutations": settings.permutations, "seed": settings.seed}
    stable = most_stable(vectors, labels, settings.stable_names)
    return Likeness(
        num_names=len(repeated),
        num_names_taken=len(taken),
        faces=explained_variance(vectors, labels, **chance),
        groups=_explained_groups(population, rows, labels, chance),
        most_stable=tuple(
            StableName(name=known[one.label], num_faces=one.num_rows, mean_cosine=one.mean_cosine)
            for one in stable
        ),
        stable_by_chance=stability_by_chance(vectors, labels, **chance),
    )


def _explained_groups(
    population: Population, rows: Codes, labels: Codes, chance: Mapping[str, int]
) -> dict[str, Explained]:
    told = {}
    for attribute in _ALSO:
        probabilities = population.probabilities[attribute][rows]
        # Without any spread there is nothing to explain.
        if np.ptp(probabilities, axis=0).max() > 0:
            told[attribute] = explained_variance(probabilities, labels, **chance)
    return told


def _named(
    population: Population, rows: Codes, pairs: list[tuple[int, int]]
) -> tuple[tuple[str, str], ...]:
    """Positions among some rows as ids: the kept one, then the one that repeats it."""
    return tuple((population.ids[rows[kept]], population.ids[rows[row]]) for kept, row in pairs)
