"""What `relume benchmark` measures, the `[benchmark]` section of a preset, and what it writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from schemas.head import Precision
from schemas.settings import (
    NON_NEGATIVE,
    POSITIVE,
    as_plain,
    fingerprint,
    read_toml,
    resolve,
    settings,
)

# What is timed: each model alone, source and head as one road, and the head by itself, once with
# its pictures on the device already and once from PNG to PNG.
TEACHER, SOURCE, ROAD = "teacher", "source", "source + head"
HEAD_ON_DEVICE, HEAD_WITH_FILES = "head, on the device", "head, PNG to PNG"


@settings
class BenchmarkSettings:
    """How pictures are timed."""

    sizes_px: tuple[Annotated[int, Ge(64), Le(2048)], ...] = (256, 512, 768, 1024)
    """sides of the pictures, multiples of 16"""
    batches: tuple[Annotated[int, POSITIVE, Le(1024)], ...] = (1, 2, 4, 8, 16, 32)
    """batches to try for throughput, from 1, whose time is the latency"""
    warm_ups: Annotated[int, NON_NEGATIVE] = 10
    """untimed runs before the timed ones"""
    repeats: Annotated[int, Ge(5)] = 50
    """timed runs of one picture"""
    search_repeats: Annotated[int, Ge(1)] = 5
    """timed runs of a batch that is tried for throughput"""
    precision: Precision | None = None
    """number format of the head; bfloat16 on a GPU and float32 elsewhere without it"""
    teacher_also_steps: tuple[Annotated[int, POSITIVE], ...] = ()
    """further numbers of the teacher's steps to time, each a row of its own"""

    @staticmethod
    def _sizes_and_batches(sizes_px: tuple[int, ...], batches: tuple[int, ...]) -> Iterator[str]:
        if not sizes_px or len(set(sizes_px)) != len(sizes_px) or any(s % 16 for s in sizes_px):
            yield f"sizes_px = {list(sizes_px)}: should be different multiples of 16, at least one"
        if not batches or batches[0] != 1 or list(batches) != sorted(set(batches)):
            yield f"batches = {list(batches)}: should begin with 1 and rise"


@settings
class BenchmarkRecord:
    """benchmark.json: fixed by the first run; only what was timed alike stands in one table."""

    record: Literal["benchmark"] = "benchmark"
    """which record this is"""
    version: Literal[1] = 1
    """version of this record"""
    settings: BenchmarkSettings
    """how pictures are timed"""
    generator: dict[str, Any]
    """the generator's settings"""
    stages: dict[str, dict[str, Any]]
    """settings of source and teacher"""
    head: str
    """sha256 of the head's weights"""
    device: str
    """GPU or processor that made the pictures"""
    procedural: bool
    """whether a painter stands for the models, so that no time says anything about them"""
    code: str
    """hash of Relume's sources that began"""
    libraries: dict[str, str]
    """versions of what began"""

    def must_match(self) -> dict[str, Any]:
        """What a later run may not change."""
        plain = as_plain(self)
        fixed = ("settings", "generator", "stages", "head", "device", "code", "libraries")
        return {key: plain[key] for key in fixed}

    def fingerprint(self) -> str:
        """Stands for all that may not change."""
        return fingerprint(self.must_match())

    def may_differ(self) -> dict[str, str]:
        """Nothing: code and libraries change times too."""
        return {}


@settings
class Timing:
    """One row at one size: a file of its own, so that a killed run keeps what it has timed."""

    what: str
    """what was timed; a further teacher has its steps in its name"""
    size_px: int
    """side of the pictures"""
    seconds: tuple[float, ...]
    """of each timed run of one picture"""
    batch: int
    """the batch of the highest throughput"""
    batch_seconds: tuple[float, ...]
    """of each timed run of that batch"""
    memory_bytes: int
    """the most that was allocated on the GPU, or resident in the process, with that batch"""
    joules_per_picture: float | None
    """of the GPU, with that batch; null where nothing tells"""
    left_out: str | None = None
    """why larger batches were not timed, null where all were"""


def benchmark_settings(path: Path) -> BenchmarkSettings:
    """The [benchmark] section of a preset, or what it is without one."""
    return resolve(BenchmarkSettings, read_toml(path).get("benchmark", {}), f"{path}: [benchmark]")
