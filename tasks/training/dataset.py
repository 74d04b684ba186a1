"""The dataset that a run is trained on: whole, with the stages that are needed, and by what made.

A run is bound to what made its dataset, not to where the dataset lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schemas.run import FileIdentity
from schemas.sample import Stage
from schemas.training import TrainingRecord
from shards.manifest import state
from shards.plan import read_plan, shard_names
from shards.provenance import code_version, library_versions
from shards.run import read_generator


def refuse_lacking(dataset: Path, stages: Sequence[Stage], why: str) -> None:
    """ValueError unless the dataset has pictures of these stages."""
    there = read_plan(dataset).schema.names
    for stage in stages:
        if f"{stage}_seed" not in there:
            raise ValueError(f"{dataset}: has no pictures of stage {stage}; {why}")


def made_by(
    dataset: Path,
    config: dict[str, Any],
    processes: int,
    *,
    selection: FileIdentity | None = None,
    inputs: Mapping[str, str] | None = None,
) -> TrainingRecord:
    """What a run on this dataset is made by; ValueError unless the dataset is whole.

    `inputs` are fingerprints of what else is read, by name: captions, weights.
    """
    shards = shard_names(read_plan(dataset))
    now, generator = state(dataset, shards), read_generator(dataset)
    if not now.complete or generator is None:
        raise ValueError(
            f"{dataset}: {len(now.done)} of {len(shards)} shards exist; "
            f"finish it with relume generate {dataset}"
        )
    return TrainingRecord(
        config=config,
        dataset=generator.fingerprint(),
        selection=selection,
        inputs=dict(inputs or {}),
        processes=processes,
        code=code_version(),
        libraries=library_versions(),
    )
