"""The attributes by which a gallery is filtered: a small code per row and what each code means.

Words about people are a classifier's perception, or what a painter drew; the labels say which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.audit import AUDIT_STATUSES, WITH_FACE
from schemas.sample import SPLITS, Stage
from schemas.truth import AGE_GROUPS, ETHNICITIES, GENDERS, HAIR_STYLES
from tasks.gallery.rows import (
    LEFT_OUT,
    LEFT_OUT_WHY,
    NOT_NAMED,
    SELECTION,
    TAKEN,
    Gathered,
    found_column,
    truth_column,
)

# Lower edges in years: a perceived age of 30.9 is in 18-30, one of 31.0 in 31-50.
AGE_EDGES = (18.0, 31.0, 51.0)
AGES = ("under 18", *AGE_GROUPS)
NOT_AUDITED, NOT_KNOWN, NOT_MADE = "not audited", "not known", "not made"
MANY_FACES = 3
# A code is one byte; what is rarer than the most frequent reasons is told as one.
MAX_VALUES = 250
OTHER_REASONS = "another reason"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One filter: its key in the address, its words, and each row's code (uint8)."""

    key: str
    label: str
    group: str
    values: tuple[str, ...]
    codes: np.ndarray

    def counts(self) -> list[int]:
        """Rows of each value."""
        counts: list[int] = np.bincount(self.codes, minlength=len(self.values)).tolist()
        return counts


def attributes(gathered: Gathered) -> Iterator[Attribute]:
    """Every filter that this dataset allows, in the order of the page."""
    rows = gathered.rows
    yield _plain("status", "Status", "Dataset", rows["status"], ("ok", "failed"))
    if pc.any(pc.is_valid(rows["reason"])).as_py():
        yield _reasons("reason", "Reason", "Dataset", rows["reason"])
    yield _plain("split", "Split", "Dataset", rows["split"], SPLITS)
    if gathered.has_selection:
        words = (TAKEN, LEFT_OUT, NOT_NAMED)
        yield _plain("selection", "Selected", "Selection", rows[SELECTION], words)
        if pc.any(pc.is_valid(rows[LEFT_OUT_WHY])).as_py():
            yield _reasons("left-out", "Left out because", "Selection", rows[LEFT_OUT_WHY])
    for stage in gathered.audited:
        yield from _perceived(gathered, stage)
    if len(gathered.audited) > 1:
        yield from _kept(gathered)
    if gathered.has_truth:
        yield from _drawn(rows)


def _perceived(gathered: Gathered, stage: Stage) -> Iterator[Attribute]:
    rows, group = gathered.rows, f"{stage.capitalize()}, as perceived"

    def column(name: str) -> pa.ChunkedArray:
        return rows[found_column(stage, name)]

    status = column("status").fill_null(NOT_AUDITED)
    yield _plain(f"{stage}-audit", "Audit", group, status, (*AUDIT_STATUSES, NOT_AUDITED))
    num_faces = np.asarray(column("num_faces").fill_null(-1))
    numbers = ("0", "1", "2", f"{MANY_FACES} or more", NOT_AUDITED)
    codes = np.where(num_faces < 0, len(numbers) - 1, np.minimum(num_faces, MANY_FACES))
    yield _coded(f"{stage}-faces", "Faces found", group, numbers, codes)
    for key, label, words, codes in _people(gathered, stage):
        yield _coded(f"{stage}-{key}", label, group, words, codes)


def _people(
    gathered: Gathered, stage: Stage
) -> Iterator[tuple[str, str, tuple[str, ...], np.ndarray]]:
    """Key, label, words and codes of what an audit tells of the largest face."""
    rows = gathered.rows
    status = rows[found_column(stage, "status")]
    faces = np.asarray(pc.fill_null(pc.is_in(status, value_set=pa.array(sorted(WITH_FACE))), False))
    for key, column, groups in (
        ("gender", "gender_probabilities", GENDERS),
        ("ethnicity", "ethnicity_probabilities", ETHNICITIES),
    ):
        codes = _likeliest(rows[found_column(stage, column)], len(groups))
        known = faces & (codes >= 0)
        words = (*groups, NOT_KNOWN)
        yield key, f"Perceived {key}", words, np.where(known, codes, len(groups))
    age = np.asarray(rows[found_column(stage, "age")].fill_null(np.nan), float)
    known = faces & ~np.isnan(age)
    codes = np.where(known, np.digitize(np.nan_to_num(age), AGE_EDGES), len(AGES))
    yield "age", "Perceived age", (*AGES, NOT_KNOWN), codes


def _likeliest(probabilities: pa.ChunkedArray, num_groups: int) -> np.ndarray:
    """The likeliest group of each row, -1 where there are no probabilities."""
    lists = probabilities.combine_chunks()
    filled = np.asarray(pc.equal(pc.list_value_length(lists), num_groups).fill_null(False))
    codes = np.full(len(lists), -1)
    values = np.asarray(lists.filter(pa.array(filled)).flatten(), float)
    if len(values):
        codes[filled] = values.reshape(-1, num_groups).argmax(1)
    return codes


def _kept(gathered: Gathered) -> Iterator[Attribute]:
    """Whether the audit perceives both pictures of a pair alike."""
    first, second = gathered.audited[:2]
    group = f"From {first} to {second}"
    words = ("kept", "changed", NOT_KNOWN)
    pairs = zip(_people(gathered, first), _people(gathered, second), strict=True)
    for (key, label, groups, one), (*_, other) in pairs:
        unknown = (one == len(groups) - 1) | (other == len(groups) - 1)
        codes = np.where(unknown, 2, (one != other).astype(int))
        yield _coded(f"kept-{key}", label, group, words, codes)


def _drawn(rows: pa.Table) -> Iterator[Attribute]:
    group = "As drawn"
    for column, label, words in (
        ("gender", "Drawn gender", GENDERS),
        ("age_group", "Drawn age", AGE_GROUPS),
        ("ethnicity", "Drawn ethnicity", ETHNICITIES),
        ("hair_style", "Drawn hair", HAIR_STYLES),
    ):
        values = rows[truth_column(column)].fill_null(NOT_MADE)
        known = (*words, NOT_MADE) if pc.any(pc.equal(values, NOT_MADE)).as_py() else words
        yield _plain(f"drawn-{column.replace('_', '-')}", label, group, values, known)


def _plain(
    key: str, label: str, group: str, column: pa.ChunkedArray, words: Sequence[str]
) -> Attribute:
    codes = np.asarray(pc.index_in(column, value_set=pa.array(words)).fill_null(255))
    if len(codes) and codes.max() >= len(words):
        value = column[int(codes.argmax())].as_py()
        raise ValueError(f"{key} {value!r}: should be one of {', '.join(words)}")
    return _coded(key, label, group, tuple(words), codes)


def _coded(
    key: str, label: str, group: str, words: tuple[str, ...], codes: np.ndarray
) -> Attribute:
    return Attribute(key, label, group, words, codes.astype(np.uint8))


def _reasons(key: str, label: str, group: str, column: pa.ChunkedArray) -> Attribute:
    """Why samples failed or were left out; "none" of those that were not."""
    reasons = column.to_pylist()
    ranked = Counter(reason for reason in reasons if reason is not None).most_common()
    words = ["none", *(reason for reason, _ in ranked[:MAX_VALUES])]
    if len(ranked) > MAX_VALUES:
        words.append(OTHER_REASONS)
    code = {reason: number for number, reason in enumerate(words)}
    codes = [0 if r is None else code.get(r, len(words) - 1) for r in reasons]
    return _coded(key, label, group, tuple(words), np.asarray(codes))
