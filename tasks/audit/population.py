"""The rows of an audit as arrays, one population for each stage; computes no statistic.

Only pictures with the status ok are counted: where a face is missing or doubtful, DeepFace still
gives ages and groups, of the whole picture or of nobody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from metrics.groups import Codes, Floats, age_bin_probabilities, age_codes, likeliest
from schemas.audit import AUDIT_SCHEMA, AUDIT_STATUSES
from schemas.records import check_record
from schemas.sample import STAGES, Stage
from schemas.truth import ETHNICITIES, GENDERS

NUM_AGES = 101


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """The pictures of one stage of one dataset, in the order of their ids.

    Pictures that do not count have the code -1, NaN as age and probability, and no embedding: NaN
    in all of its row. `embeddings` has no columns where the analyser gives none.
    """

    label: str
    stage: Stage
    ids: tuple[str, ...]
    statuses: dict[str, int]
    counted: NDArray[np.bool_]
    codes: dict[str, Codes]
    probabilities: dict[str, Floats]
    ages: Floats
    embeddings: NDArray[np.float32]
    sharpness: Floats
    hashes: NDArray[np.int64]
    has_hash: NDArray[np.bool_]

    @property
    def num(self) -> int:
        """All pictures, counted or not."""
        return len(self.ids)

    @property
    def num_counted(self) -> int:
        """Pictures with exactly one face that the detector was sure of."""
        return int(self.counted.sum())

    @property
    def title(self) -> str:
        """What tables and figures call it."""
        return f"{self.label}, {self.stage}"

    def with_embedding(self) -> Codes:
        """The rows that have an embedding."""
        if not self.embeddings.shape[1]:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(self.counted & np.isfinite(self.embeddings[:, 0]))


def populations(rows: pa.Table, label: str) -> list[Population]:
    """The populations of an audit, the stages in their usual order."""
    check_record(rows.schema, AUDIT_SCHEMA, f"audit of {label}")
    if not rows.num_rows:
        raise ValueError(f"audit of {label}: has no rows")
    stage_of = np.asarray(rows.column("stage").to_pylist())
    found = [stage for stage in STAGES if (stage_of == stage).any()]
    return [
        _population(rows.filter(pa.array(stage_of == stage)).sort_by("id"), label, stage)
        for stage in found
    ]


def _population(rows: pa.Table, label: str, stage: Stage) -> Population:
    where = f"audit of {label}, {stage}"
    ids = tuple(rows.column("id").to_pylist())
    repeated = [one for one, times in Counter(ids).items() if times > 1]
    if repeated:
        raise ValueError(f"{where}: has sample {repeated[0]!r} twice; audit it anew")
    statuses = Counter(rows.column("status").to_pylist())
    unknown = sorted(set(statuses) - set(AUDIT_STATUSES))
    if unknown:
        raise ValueError(f"{where}: unknown status {unknown[0]!r}")
    counted = np.asarray(rows.column("status").to_pylist()) == "ok"
    ages = np.where(counted, _numbers(rows, "age"), np.nan)
    gender = _vectors(rows, "gender_probabilities", len(GENDERS), counted, where)
    ethnicity = _vectors(rows, "ethnicity_probabilities", len(ETHNICITIES), counted, where)
    age = _vectors(rows, "age_probabilities", NUM_AGES, counted, where)
    probabilities = {
        "gender": gender.astype(np.float64),
        "age": age_bin_probabilities(age.astype(np.float64)),
        "ethnicity": ethnicity.astype(np.float64),
    }
    codes = {
        "gender": likeliest(probabilities["gender"]),
        "age": age_codes(ages),
        "ethnicity": likeliest(probabilities["ethnicity"]),
    }
    return Population(
        label=label,
        stage=stage,
        ids=ids,
        statuses={status: statuses.get(status, 0) for status in AUDIT_STATUSES},
        counted=counted,
        codes=codes,
        probabilities=probabilities,
        ages=ages,
        embeddings=_vectors(rows, "embedding", _width(rows), counted, where),
        sharpness=_numbers(rows, "sharpness"),
        hashes=np.asarray(rows.column("picture_hash").fill_null(0)),
        has_hash=~np.asarray(rows.column("picture_hash").is_null()),
    )


def _numbers(rows: pa.Table, name: str) -> Floats:
    return np.asarray(rows.column(name).cast(pa.float64()).fill_null(np.nan), dtype=np.float64)


def _width(rows: pa.Table) -> int:
    lists = rows.column("embedding").drop_null()
    return len(lists[0]) if len(lists) else 0


def _vectors(
    rows: pa.Table, name: str, width: int, counted: NDArray[np.bool_], where: str
) -> NDArray[np.float32]:
    """Lists of one length as a matrix, NaN in rows that do not count or have none."""
    lists = rows.column(name).combine_chunks()
    there = ~np.asarray(lists.is_null())
    lengths = np.asarray(lists.value_lengths().fill_null(width))
    wrong = np.flatnonzero(lengths != width)
    if wrong.size:
        row = int(wrong[0])
        raise ValueError(
            f"{where}: {name} of {rows.column('id')[row]} has {lengths[row]} values, "
            f"should be {width}"
        )
    matrix = np.full((len(there), width), np.nan, dtype=np.float32)
    matrix[there] = np.asarray(lists.flatten(), dtype=np.float32).reshape(int(there.sum()), width)
    matrix[~counted] = np.nan
    return matrix
