"""The heads of an evaluation: found, refused where they saw what they are judged on, or flagged."""

from __future__ import annotations

from pathlib import Path

from models.heads.folder import WEIGHTS, read_config
from models.heads.head import Head
from models.heads.hub import find_head
from schemas.evaluate import DatasetRow
from tasks.evaluation.dataset import Dataset

# How a row is marked.
OTHER_SOURCE, UNKNOWN_TRAINING = "other source", "training unknown"
# The stage of a dataset that a head has made of another one.
ENHANCED = "enhanced"


def place_of_head(name: str, head: str, root: Path) -> Path:
    """The folder of a row's head, here or in the hub's cache."""
    place = root / head
    if place.is_dir():
        return place.absolute()
    try:
        return find_head(head, "main", place)
    except ValueError as error:
        raise ValueError(f"row {name!r}: {error}") from None


def head_flags(name: str, place: Path, head: Head, data: Dataset) -> tuple[str, ...]:
    """How a head's row is marked; ValueError where the head has seen what it is judged on."""
    training = head.training
    if training is None:
        return (UNKNOWN_TRAINING,)
    seen = head.overlap(data.plan["id"].to_pylist())
    if seen:
        raise ValueError(
            f"row {name!r}: {place} was trained on {len(seen):,} of the "
            f"{data.plan.num_rows:,} samples that it would be judged on, for example "
            f"{seen[0]}; train it on train alone"
        )
    same = _profile(data) == (training.profile, training.source.model, training.source.revision)
    return () if same else (OTHER_SOURCE,)


def maker_flags(row: DatasetRow, dataset: Dataset, data: Dataset, root: Path) -> tuple[str, ...]:
    """The same of a dataset's row, whose pictures a head has made if its stage says so."""
    if str(row.stage) != ENHANCED:
        return ()
    if row.head is None:
        return (UNKNOWN_TRAINING,)
    place = place_of_head(row.name, row.head, root)
    made_by = dataset.generator.models[row.stage].weights.get(WEIGHTS)
    if read_config(place).weights_sha256 != made_by:
        raise ValueError(
            f"row {row.name!r}: {dataset.folder} was made by another head than {place}; name the "
            "one that made it"
        )
    return head_flags(row.name, place, Head.from_pretrained(place), data)


def _profile(data: Dataset) -> tuple[str, str, str]:
    generator = data.run.config.generator
    if generator.kind == "folder":
        raise ValueError(f"{data.folder}: holds photographs, of which no head is judged")
    profile = "procedural" if generator.kind == "procedural" else generator.profile
    source = data.run.config.stage["source"]
    return profile, source.model, source.revision
