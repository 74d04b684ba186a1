"""plan.parquet: every sample of a dataset, fixed before anything is made."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.config import DatasetConfig, SplitSettings
from schemas.name import NAME_SCHEMA
from schemas.prompt import PROMPT_SCHEMA
from schemas.records import check_record
from schemas.sample import (
    MADE_BY,
    SPLITS,
    Half,
    PlannedSample,
    Split,
    Stage,
    plan_schema,
    planned_row,
    planned_sample,
    stages_of,
)
from schemas.seeds import stable_fraction, stable_hash
from schemas.settings import as_plain, fingerprint
from shards import layout
from shards.encoding import read_parquet

CONFIG_KEY = b"relume.config"
_ID = "[A-Za-z0-9_-]+"
# An id and its stage have to fit into the 100 bytes that a tar's header has for a name.
_NCONST = "[A-Za-z0-9_-]{1,64}"
_SHARD = r"(train|validation|test)/shard-\d{6,}"


class _Subject(NamedTuple):
    """Who or what a sample is to show, before it has a place."""

    id: str
    key: str  # what its split depends on: the name, so that all its samples stay together
    name: str | None
    nconst: str | None
    prompt: str | None = None  # where it has one of its own


def make_plan(
    config: DatasetConfig,
    names: pa.Table | None,
    origin: str = "names",
    photos: Sequence[str] | None = None,
    prompts: pa.Table | None = None,
) -> pa.Table:
    """The plan of a dataset; `names` where its prompt asks for them, the first ones are taken.

    `prompts` likewise, where each sample has one of its own; `photos` are the ids of its samples
    where these are photographs of a folder.
    """
    for stage in config.dataset.stages:
        if stage in MADE_BY:
            raise ValueError(
                f"dataset.{config.name}.stages = {list(config.dataset.stages)}: {stage} pictures "
                f"are not planned; {MADE_BY[stage]} makes them out of a dataset"
            )
    if photos is not None:
        subjects = [_Subject(one, one, None, None) for one in photos]
    elif config.dataset.has_prompts:
        subjects = _prompted(config, prompts, origin)
    elif config.dataset.has_names:
        subjects = _named(config, names, origin)
    else:
        subjects = _unnamed(config)
    ranks = _train_ranks(config, subjects)
    rows = []
    for split in SPLITS:
        if split not in config.dataset.splits:
            continue
        chosen = [s for s in subjects if split_of(s.key, config.split) == split]
        # By hash, so that every shard is a fair sample of its split.
        chosen.sort(key=lambda subject: (stable_hash("order", subject.key), subject.id))
        for position, subject in enumerate(chosen):
            rows.append(planned_row(_planned(config, subject, split, position, ranks)))
    if not rows:
        raise ValueError(
            f"dataset.{config.name}: none of its {len(subjects)} samples falls in "
            f"{' or '.join(config.dataset.splits)}; raise dataset.count"
        )
    schema = plan_schema(config.dataset.stages)
    # Whoever changes the settings in run.json afterwards is found out by this.
    facts = {**schema.metadata, CONFIG_KEY: fingerprint(as_plain(config)).encode()}
    return pa.Table.from_pylist(rows, schema=schema.with_metadata(facts))


def split_of(key: str, weights: SplitSettings) -> Split:
    """The split of a name: by its hash alone, whatever the seed and the number of names."""
    drawn = stable_fraction("split", key) * (weights.train + weights.validation + weights.test)
    if drawn < weights.train:
        return "train"
    return "validation" if drawn < weights.train + weights.validation else "test"


def read_plan(dataset: Path) -> pa.Table:
    """The plan of a dataset, checked to be one."""
    path = dataset / layout.PLAN
    if not path.exists():
        raise ValueError(
            f"{dataset}: has no {layout.PLAN}; the same relume plan as before writes it again"
        )
    try:
        table = read_parquet(path)
    except ValueError as error:
        raise ValueError(
            f"{error}; the same relume plan as before sets it aside and writes the right one"
        ) from error
    check_record(table.schema, plan_schema(stages_of(table.schema)), str(path))
    for field in table.schema:
        if not field.nullable and table.column(field.name).null_count:
            raise ValueError(f"{path}: column {field.name!r} lacks values")
    # Both become names of files, so a plan from elsewhere must not lead out of the dataset.
    for column, pattern in (("id", _ID), ("shard", _SHARD)):
        values = table.column(column)
        wrong = values.filter(pc.invert(pc.match_substring_regex(values, f"^{pattern}$")))
        if len(wrong):
            raise ValueError(f"{path}: {column} {wrong[0].as_py()!r}: is no name of Relume's")
    return table


def shard_names(plan: pa.Table) -> list[str]:
    """The shards of a plan, in its order."""
    names: list[str] = plan.column("shard").unique().to_pylist()
    return names


def shard_rows(plan: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each shard, which lie together in a plan."""
    start = 0
    for counted in plan.column("shard").value_counts().to_pylist():
        yield counted["values"], plan.slice(start, counted["counts"])
        start += counted["counts"]


def planned_samples(
    plan: pa.Table, only: Collection[str] | None = None
) -> Iterator[tuple[str, tuple[PlannedSample, ...]]]:
    """The samples of each shard, or of some shards alone."""
    for shard, rows in shard_rows(plan):
        if only is None or shard in only:
            yield shard, tuple(map(planned_sample, rows.to_pylist()))


def fraction_sizes(plan: pa.Table, fractions: tuple[float, ...]) -> dict[float, int]:
    """How many samples of train each fraction of the whole plan takes, by its train_rank."""
    ranked = plan.num_rows - plan.column("train_rank").null_count
    return {fraction: min(math.ceil(fraction * plan.num_rows), ranked) for fraction in fractions}


def _planned(
    config: DatasetConfig, subject: _Subject, split: Split, position: int, ranks: dict[str, int]
) -> PlannedSample:
    number, index = divmod(position, config.dataset.shard_size)
    prompt = subject.prompt
    if prompt is None:
        prompt = config.dataset.prompt.format(name=subject.name)
    return PlannedSample(
        id=subject.id,
        split=split,
        half=None if split == "train" else _half(subject.key),
        shard=layout.shard_name(split, number),
        index=index,
        train_rank=ranks.get(subject.id) if split == "train" else None,
        name=subject.name,
        nconst=subject.nconst,
        prompt=prompt,
        seeds={stage: _seed(config, subject.id, stage) for stage in config.dataset.stages},
    )


def _seed(config: DatasetConfig, sample_id: str, stage: Stage) -> int:
    draw = config.stage[stage].draw
    return stable_hash("seed", config.seed, sample_id, stage, *([draw] if draw else []))


def _half(key: str) -> Half:
    return "A" if stable_fraction("half", key) < 0.5 else "B"


def _train_ranks(config: DatasetConfig, subjects: list[_Subject]) -> dict[str, int]:
    """Place of each train sample in one seeded draw: a smaller fraction is its beginning."""
    train = [s.id for s in subjects if split_of(s.key, config.split) == "train"]
    train.sort(key=lambda sample_id: (stable_hash("draw", config.seed, sample_id), sample_id))
    return {sample_id: rank for rank, sample_id in enumerate(train)}


def _unnamed(config: DatasetConfig) -> list[_Subject]:
    ids = (f"{config.name}-{number:06d}" for number in range(config.dataset.count))
    return [_Subject(sample_id, sample_id, None, None) for sample_id in ids]


def _prompted(config: DatasetConfig, prompts: pa.Table | None, origin: str) -> list[_Subject]:
    if prompts is None:
        raise ValueError(f"dataset.{config.name}.prompt asks for prompts; give them with --prompts")
    check_record(prompts.schema, PROMPT_SCHEMA, origin)
    if prompts.num_rows < config.dataset.count:
        raise ValueError(
            f"{origin}: has {prompts.num_rows} prompts, dataset.{config.name} asks for "
            f"{config.dataset.count}; choose more with relume prompts --count, or lower it with "
            "--dataset.count"
        )
    rows = prompts.slice(0, config.dataset.count).to_pylist()
    for row in rows:
        if not re.fullmatch(_NCONST, row["id"]):
            raise ValueError(
                f"{origin}: id {row['id']!r}: may only have letters, digits, - and _, at most 64"
            )
    return [_Subject(row["id"], row["prompt"], None, None, row["prompt"]) for row in rows]


def _named(config: DatasetConfig, names: pa.Table | None, origin: str) -> list[_Subject]:
    if names is None:
        raise ValueError(f"dataset.{config.name}.prompt asks for names; give them with --names")
    check_record(names.schema, NAME_SCHEMA, origin)
    each = config.dataset.images_per_name
    wanted = config.dataset.count // each
    if names.num_rows < wanted:
        raise ValueError(
            f"{origin}: has {names.num_rows} names, dataset.{config.name} asks for {wanted}; "
            f"choose more with relume names --count, or lower it with --dataset.count"
        )
    chosen = names.slice(0, wanted)
    for column in ("nconst", "name"):
        if len(chosen.column(column).unique()) < wanted:
            raise ValueError(f"{origin}: column {column} repeats a value; each may stand once")
    pairs = zip(chosen.column("nconst").to_pylist(), chosen.column("name").to_pylist(), strict=True)
    subjects = []
    for nconst, name in pairs:
        if not re.fullmatch(_NCONST, nconst):
            raise ValueError(
                f"{origin}: nconst {nconst!r}: may only have letters, digits, - and _, at most 64"
            )
        subjects += [_Subject(f"{nconst}-{k:02d}", name, name, nconst) for k in range(each)]
    return subjects
