"""What is evaluated, and how: the `[evaluate]` section of a preset.

Paths of datasets, heads and folders begin at the folder that `relume evaluate --root` names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

from schemas.head import Precision
from schemas.measure import FRECHET, FeatureNumerics, NetworkSettings, TextureSettings, label_of
from schemas.sample import Stage
from schemas.settings import FILLED, NON_NEGATIVE, POSITIVE, read_toml, resolve, settings, tagged

# Rows that every evaluation has, and the name of the floor in tables.
SOURCE, TARGET, TEACHER = "source", "target", "teacher"
RESERVED = (SOURCE, TARGET, TEACHER, "reference")
EvaluatedSplit = Literal["test", "validation"]


@settings
class HeadRow:
    """A head, applied to the sources while they are looked at."""

    kind: Literal["head"] = "head"
    """a head's folder"""
    name: Annotated[str, FILLED]
    """what the tables call it"""
    head: Annotated[str, FILLED]
    """folder of the head, or its id on the hub"""
    precision: Precision = "float32"
    """number format inside the head"""
    seconds_per_picture: Annotated[float, Gt(0)] | None = None
    """what source and head take together, where it was measured elsewhere"""
    audit: Annotated[str, FILLED] | None = None
    """audit of its pictures as a dataset, to tell how perceived groups and identity move"""


@settings
class DatasetRow:
    """Pictures of a dataset of the same prompts: other steps, a LoRA, an enhanced dataset."""

    kind: Literal["dataset"] = "dataset"
    """a dataset"""
    name: Annotated[str, FILLED]
    """what the tables call it"""
    dataset: Annotated[str, FILLED]
    """its folder"""
    stage: Stage = "source"
    """which picture of each sample"""
    head: Annotated[str, FILLED] | None = None
    """the head that made an enhanced dataset, to rule out that it saw what it is judged on"""
    block: Annotated[str, FILLED] | None = None
    """the block of tables that it stands in, where another family of models made it than the
    sources: no distance to the target is told of it"""
    seconds_per_picture: Annotated[float, Gt(0)] | None = None
    """what one takes; without it the dataset's events tell, where it has one stage"""
    audit: Annotated[str, FILLED] | None = None
    """audit of the dataset"""


@settings
class FolderRow:
    """Pictures that somebody made of the sources, each named by its sample's id."""

    kind: Literal["folder"] = "folder"
    """a plain folder"""
    name: Annotated[str, FILLED]
    """what the tables call it"""
    folder: Annotated[str, FILLED]
    """the folder, with ID.png, ID.jpg, ID.jpeg or ID.webp"""
    block: Annotated[str, FILLED] | None = None
    """as of a dataset"""
    seconds_per_picture: Annotated[float, Gt(0)] | None = None
    """what one takes"""


@settings
class FilterRow:
    """A straw man, with the setting that closes most of the gap on validation."""

    kind: Literal["filter"] = "filter"
    """an editor's filter"""
    name: Annotated[str, FILLED]
    """what the tables call it"""
    filter: Literal["unsharp", "grain"]
    """unsharp mask or film grain"""


RowSettings = Annotated[HeadRow | DatasetRow | FolderRow | FilterRow, tagged("kind")]


@settings
class EvaluateSettings:
    """The table: its rows, its references, and what looks at the pictures."""

    data: Annotated[str, FILLED]
    """dataset of pairs: its sources are what heads are applied to, its targets the reference"""
    teacher: Annotated[str, FILLED] | None = None
    """dataset of the teacher's own pictures, the second reference"""
    source_alone: Annotated[str, FILLED] | None = None
    """dataset of sources alone, whose events tell how long one takes"""
    further_targets: tuple[Annotated[str, FILLED], ...] = ()
    """datasets with the same sources and targets of other seeds, to test consistency with"""
    split: EvaluatedSplit = "test"
    """test, or validation to rehearse without opening test"""
    network: Annotated[tuple[NetworkSettings, ...], MinLen(1)] = (TextureSettings(),)
    """what looks at the pictures; the headline is of the first, at its last tap"""
    row: tuple[RowSettings, ...] = ()
    """rows beside source, target and teacher"""
    audit: Annotated[str, FILLED] | None = None
    """audit of the dataset of pairs"""
    tuning_pictures: Annotated[int, Ge(8)] = 1000
    """pictures of validation that straw men are tuned on, in whole shards"""
    pictures_per_prompt: Annotated[int, POSITIVE, Le(100)] = 4
    """pictures made of each prompt of a file that --prompts names"""
    draws: Annotated[int, Ge(8), Le(10_000)] = 100
    """parts of the prompts that errors are told by, of each kind"""
    seed: Annotated[int, NON_NEGATIVE] = 0
    """seed of these parts"""
    batch_size: Annotated[int, POSITIVE, Le(4096)] = 16
    """pictures looked at together"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor for each worker"""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """what looks; auto takes a GPU where there is one, cuda refuses to do without"""

    @staticmethod
    def _headline_is_a_distance(network: tuple[NetworkSettings, ...]) -> Iterator[str]:
        if network and network[0].kind not in FRECHET:
            yield (
                f"network: the first is {network[0].kind!r}, and of the first the gap to the "
                f"target is told; put a distance before it: {', '.join(FRECHET)}"
            )

    @staticmethod
    def _networks_once(network: tuple[NetworkSettings, ...]) -> Iterator[str]:
        labels = [label_of(one) for one in network]
        for label in sorted({one for one in labels if labels.count(one) > 1}):
            yield f"network: {label} stands twice; leave one out"

    @staticmethod
    def _rows_have_names_of_their_own(row: tuple[RowSettings, ...]) -> Iterator[str]:
        names = [one.name for one in row]
        for name in sorted({one for one in names if names.count(one) > 1}):
            yield f"row {name!r}: stands twice; give each row a name of its own"
        for name in names:
            if name in RESERVED:
                yield f"row {name!r}: is a row of every table; choose another name"

    @property
    def numerics(self) -> FeatureNumerics:
        """How features are computed."""
        return FeatureNumerics(batch_size=self.batch_size, threads=self.threads, device=self.device)


def read_evaluate(path: Path, **given: object) -> EvaluateSettings:
    """The [evaluate] section of a preset; a ValueError lists every mistake."""
    tables = read_toml(path).get("evaluate")
    if not isinstance(tables, dict):
        raise ValueError(f"{path}: has no [evaluate]; docs/evaluate.md tells what stands in one")
    over = {key: value for key, value in given.items() if value is not None}
    return resolve(EvaluateSettings, {**tables, **over}, f"{path} [evaluate]")
