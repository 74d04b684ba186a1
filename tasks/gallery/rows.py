"""What is known of every sample: manifest, audit's findings, painter's truth and a selection.

Nothing is believed that does not fit: rows of an audit must be of this dataset's pictures, and ids,
which become names of files, must be in its plan.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.audit import AUDIT_SCHEMA
from schemas.records import check_record
from schemas.run import Run
from schemas.sample import Stage
from schemas.truth import TRUTH_SCHEMA
from shards import layout
from shards.encoding import read_parquet
from shards.manifest import COMPLETE_KEY, read_manifest
from shards.plan import shard_names
from shards.run import read_planned
from tasks.selection_file import read_selection

AUDIT_ROWS = "rows.parquet"
# What the page shows of a finding; embeddings and ages' probabilities stay in the audit.
FOUND = (
    "status",
    "reason",
    "num_faces",
    "detector",
    "box_x",
    "box_y",
    "box_width",
    "box_height",
    "confidence",
    "age",
    "gender_probabilities",
    "ethnicity_probabilities",
    "sharpness",
    "analyser",
)


# What a selection says of a sample, and why it left one out.
SELECTION, LEFT_OUT_WHY = "selection", "selection_reason"
TAKEN, LEFT_OUT, NOT_NAMED = "taken", "left out", "not in the file"


@dataclass(frozen=True, slots=True)
class Gathered:
    """A dataset as a gallery shows it."""

    run: Run
    rows: pa.Table
    num_planned: int
    num_shards_planned: int
    complete: bool
    audited: tuple[Stage, ...]
    has_truth: bool
    # Rows that there are, of which a gallery of the selected alone shows a part.
    num_made: int
    has_selection: bool = False

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The pictures of each sample."""
        return self.run.config.dataset.stages


def gather(
    dataset: Path,
    audit: Path | None,
    selection: Path | None = None,
    *,
    selected_only: bool = False,
) -> Gathered:
    """Every made row of a dataset with what else is known of it; ValueError where that misfits."""
    run, plan = read_planned(dataset)
    stages = run.config.dataset.stages
    rows = _made_rows(dataset, plan, stages)
    complete = json.loads((rows.schema.metadata or {}).get(COMPLETE_KEY, b"false"))
    audited: tuple[Stage, ...] = ()
    if audit is not None:
        rows, audited = _with_audit(rows, audit / AUDIT_ROWS, stages)
    has_truth = (dataset / layout.TRUTH).exists()
    if has_truth:
        rows = _with_truth(rows, dataset / layout.TRUTH)
    num_made = rows.num_rows
    if selection is not None:
        rows = _with_selection(rows, selection, dataset)
        if selected_only:
            rows = rows.filter(pc.equal(rows[SELECTION], TAKEN))
            if not rows.num_rows:
                raise ValueError(f"{selection}: takes no sample, so there is nothing to show")
    return Gathered(
        run=run,
        rows=rows.combine_chunks(),
        num_planned=plan.num_rows,
        num_shards_planned=len(shard_names(plan)),
        complete=bool(complete),
        audited=audited,
        has_truth=has_truth,
        num_made=num_made,
        has_selection=selection is not None,
    )


def found_column(stage: Stage, column: str) -> str:
    """The column that holds what an audit found in the pictures of a stage."""
    return f"{stage}_found_{column}"


def truth_column(column: str) -> str:
    """The column that holds what the painter drew."""
    return f"truth_{column}"


def flagged(gathered: Gathered) -> np.ndarray:
    """Which rows have a picture whose face the audit could not simply count."""
    marked = np.zeros(gathered.rows.num_rows, bool)
    for stage in gathered.audited:
        status = gathered.rows[found_column(stage, "status")].fill_null("ok")
        marked |= np.asarray(pc.not_equal(status, "ok"))
    flags: np.ndarray = marked & made(gathered)
    return flags


def made(gathered: Gathered) -> np.ndarray:
    """Which rows have pictures."""
    return np.asarray(pc.equal(gathered.rows["status"], "ok"))


def _made_rows(dataset: Path, plan: pa.Table, stages: tuple[Stage, ...]) -> pa.Table:
    """The manifest, all of whose rows are in the plan."""
    rows = read_manifest(dataset, stages)
    path = dataset / layout.MANIFEST
    for column in ("id", "shard"):
        strange = rows.filter(pc.invert(pc.is_in(rows[column], value_set=plan[column].unique())))
        if strange.num_rows:
            raise ValueError(
                f"{path}: {column} {strange[column][0].as_py()!r} is not in the plan; "
                f"relume generate {dataset} writes the manifest anew"
            )
    if not rows.num_rows:
        raise ValueError(f"{dataset}: has no pictures yet; run relume generate {dataset}")
    return rows


def _with_audit(
    rows: pa.Table, path: Path, stages: tuple[Stage, ...]
) -> tuple[pa.Table, tuple[Stage, ...]]:
    # Without the embeddings, which would be gigabytes in memory.
    audit = read_parquet(path, ["id", "stage", "picture_sha256", *FOUND]).combine_chunks()
    check_record(pq.read_schema(path), AUDIT_SCHEMA, str(path))
    strange = audit.filter(pc.invert(pc.is_in(audit["id"], value_set=rows["id"].combine_chunks())))
    if strange.num_rows:
        raise ValueError(
            f"{path}: sample {strange['id'][0].as_py()!r} is not in this dataset; "
            "give the audit of this one with --audit"
        )
    audited = []
    for stage in audit["stage"].unique().to_pylist():
        if stage not in stages:
            raise ValueError(
                f"{path}: stage {stage!r}: this dataset has {' and '.join(stages)}; "
                "give the audit of this one with --audit"
            )
    for stage in stages:
        part = audit.filter(pc.equal(audit["stage"], stage)).combine_chunks()
        if part.num_rows:
            rows = _with_findings(rows, part, stage, path)
            audited.append(stage)
    return rows, tuple(audited)


def _with_findings(rows: pa.Table, part: pa.Table, stage: Stage, path: Path) -> pa.Table:
    twice = part["id"].value_counts().to_pylist()
    for counted in twice if len(twice) < part.num_rows else ():
        if counted["counts"] > 1:
            raise ValueError(
                f"{path}: {counted['values']} has {counted['counts']} rows for its {stage}; "
                "one each is expected; make the audit anew"
            )
    where = pc.index_in(rows["id"], value_set=part["id"].combine_chunks())
    joined = part.take(where.combine_chunks())
    known, seen = rows[f"{stage}_sha256"], joined["picture_sha256"]
    other = np.asarray(pc.fill_null(pc.not_equal(known, seen), False))
    if other.any():
        sample = rows["id"][int(other.argmax())].as_py()
        raise ValueError(
            f"{path}: its {stage} of {sample} is another picture than the dataset's; "
            "audit this dataset again with relume audit"
        )
    for column in FOUND:
        rows = rows.append_column(found_column(stage, column), joined[column])
    return rows


def _with_truth(rows: pa.Table, path: Path) -> pa.Table:
    truth = read_parquet(path)
    check_record(truth.schema, TRUTH_SCHEMA, str(path))
    where = pc.index_in(rows["id"], value_set=truth["id"].combine_chunks())
    joined = truth.combine_chunks().take(where.combine_chunks())
    for column in TRUTH_SCHEMA.names:
        if column != "id":
            rows = rows.append_column(truth_column(column), joined[column])
    return rows


def _with_selection(rows: pa.Table, path: Path, dataset: Path) -> pa.Table:
    told = read_selection(path, dataset).combine_chunks()
    where = pc.index_in(rows["id"], value_set=told["id"].combine_chunks()).combine_chunks()
    joined = told.take(where)
    word = pc.if_else(joined["selected"], TAKEN, LEFT_OUT).fill_null(NOT_NAMED)
    rows = rows.append_column(SELECTION, word)
    return rows.append_column(LEFT_OUT_WHY, joined["reason"])
