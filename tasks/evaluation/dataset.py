"""A dataset as an evaluation reads it: whole, and of the same prompts as the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from metrics.subsampling import LEAST
from schemas.run import GeneratorRecord, Run
from schemas.sample import Split, Stage
from shards import layout
from shards.encoding import read_parquet
from shards.plan import shard_names
from shards.publish import published
from shards.run import read_generator, read_planned


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset that is read here, with the plan of one split."""

    folder: Path
    run: Run
    generator: GeneratorRecord
    plan: pa.Table
    shards: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """What its pictures were made by."""
        return self.generator.fingerprint()

    @property
    def procedural(self) -> bool:
        """Whether its pictures are drawings."""
        return self.run.config.generator.kind == "procedural"


def read_dataset(folder: Path, split: Split, stages: Sequence[Stage]) -> Dataset:
    """A dataset with every shard of a split; ValueError where some or a stage is missing."""
    run, plan = read_planned(folder)
    generator = read_generator(folder)
    if generator is None:
        raise ValueError(f"{folder}: has no pictures yet; make some with relume generate {folder}")
    for stage in stages:
        if stage not in run.config.dataset.stages:
            there = " and ".join(run.config.dataset.stages)
            raise ValueError(f"{folder}: has {there}, and {stage} is asked for; name another one")
    plan = plan.filter(pc.equal(plan["split"], split))
    if not plan.num_rows:
        raise ValueError(
            f"{folder}: plans nothing of {split}; plan it with --dataset.splits {split}"
        )
    shards = tuple(shard_names(plan))
    missing = [shard for shard in shards if shard not in published(folder, shards)]
    if missing:
        raise ValueError(
            f"{folder}: lacks {len(missing)} of {len(shards)} shards of {split}, for example "
            f"{missing[0]}; relume generate {folder} makes them"
        )
    return Dataset(folder=folder, run=run, generator=generator, plan=plan, shards=shards)


def check_halves(data: Dataset, split: str, left_out: int = 0) -> None:
    """Raise a ValueError where a half has too few prompts to be cut into quarters."""
    halves = data.plan["half"].to_pylist()
    least = min(halves.count("A"), halves.count("B"))
    if least < LEAST:
        also = f", and {left_out} prompts are left out" if left_out else ""
        raise ValueError(
            f"{data.folder}: a half of {split} has {least} prompts{also}; a table takes at least "
            f"{LEAST}, and an interval that is worth reading hundreds: plan more"
        )


def check_same_prompts(name: str, dataset: Dataset, data: Dataset) -> None:
    """Raise a ValueError unless a dataset has every sample, with the prompt that it has there."""
    there = dict(_prompts(dataset))
    for sample_id, prompt in _prompts(data):
        if sample_id not in there:
            raise ValueError(
                f"row {name!r}: {dataset.folder} lacks the sample {sample_id} of {data.folder}; "
                "plan it from the same names with the same split"
            )
        if there[sample_id] != prompt:
            raise ValueError(
                f"row {name!r}: {dataset.folder} asks {there[sample_id]!r} of {sample_id}, "
                f"{data.folder} {prompt!r}; rows are compared on the same prompts"
            )


def _prompts(dataset: Dataset) -> list[tuple[str, str]]:
    ids, prompts = dataset.plan["id"].to_pylist(), dataset.plan["prompt"].to_pylist()
    return list(zip(ids, prompts, strict=True))


def sources_of(dataset: Dataset) -> dict[str, str]:
    """The sha256 of each source by its sample."""
    found: dict[str, str] = {}
    for shard in dataset.shards:
        path = layout.rows_path(dataset.folder, shard)
        table = read_parquet(path, ["id", "source_sha256"])
        found |= dict(zip(*(table[one].to_pylist() for one in table.column_names), strict=True))
    return found
