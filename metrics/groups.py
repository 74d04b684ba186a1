"""The groups that people are counted in, and counting itself; knows no intervals.

A group is a code: its place in the tuple of names, -1 where a picture has none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from schemas.truth import AGE_GROUPS, ETHNICITIES, GENDERS

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

UNDER_18 = "under 18"
AGE_BINS = (UNDER_18, *AGE_GROUPS)
# Years, the upper edge excluded. An age of 30.9 is 30, as in DeepFace, whose ages are whole years.
AGE_EDGES = (0.0, 18.0, 31.0, 51.0, np.inf)
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "gender": GENDERS,
    "age": AGE_BINS,
    "ethnicity": ETHNICITIES,
}


def age_codes(ages: Floats) -> Codes:
    """The bin of each age; -1 for NaN."""
    found = np.searchsorted(AGE_EDGES, ages, side="right") - 1
    return np.where(np.isnan(ages), -1, np.clip(found, 0, len(AGE_BINS) - 1)).astype(np.int64)


def age_bin_probabilities(probabilities: Floats) -> Floats:
    """Probabilities of the whole years 0 to 100, (n, 101), added up within each bin, (n, 4)."""
    edges = [int(edge) for edge in AGE_EDGES[:-1]]
    return np.asarray(np.add.reduceat(probabilities, edges, axis=1), dtype=np.float64)


def likeliest(probabilities: Floats) -> Codes:
    """The most probable group of each row; the first of several that are equal, -1 for NaN."""
    known = np.isfinite(probabilities.sum(axis=1))
    best = np.argmax(np.where(known[:, None], probabilities, 0.0), axis=1)
    return np.where(known, best, -1).astype(np.int64)


def hard_counts(codes: Codes, num_groups: int) -> Codes:
    """How many pictures are in each group; those in none are left out."""
    return np.bincount(codes[codes >= 0], minlength=num_groups).astype(np.int64)


def soft_shares(probabilities: Floats) -> Floats:
    """The mean probability of each group over the pictures that have any."""
    known = probabilities[~np.isnan(probabilities).any(axis=1)]
    if not len(known):
        return np.full(probabilities.shape[1], np.nan)
    return np.asarray(known.mean(axis=0), dtype=np.float64)


def joint_codes(parts: list[tuple[Codes, int]]) -> Codes:
    """One code for a combination of groups, the last attribute running fastest; -1 if one lacks."""
    joint = np.zeros_like(parts[0][0])
    known = np.ones(len(joint), dtype=bool)
    for codes, num_groups in parts:
        joint = joint * num_groups + codes
        known &= codes >= 0
    return np.where(known, joint, -1)


def confusion_counts(truth: Codes, perceived: Codes, num_groups: int) -> Codes:
    """How often each true group (rows) was perceived as each group (columns)."""
    return hard_counts(
        joint_codes([(truth, num_groups), (perceived, num_groups)]), num_groups**2
    ).reshape(num_groups, num_groups)
