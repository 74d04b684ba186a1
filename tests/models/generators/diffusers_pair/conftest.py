"""Settings of pairs of tiny checkpoints, and samples for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.config import DatasetConfig
from schemas.sample import PlannedSample
from schemas.settings import resolve

PAIRS = {
    "flux": ("flux-schnell", "flux-dev", 3.0),
    "sd35": ("sd35-large-turbo", "sd35-large", 3.5),
    "sd15": ("sd15", "sd15", 7.5),
}
Pair = Callable[..., DatasetConfig]


def make_pair(tiny: Path, family: str, **changes: dict[str, Any]) -> DatasetConfig:
    """Settings of a tiny pair; `changes` go into the tables of the same name."""
    fast, slow, guidance = PAIRS[family]
    source = {"model": str(tiny / fast), "revision": "tiny", "steps": 3}
    slow_model = {"model": str(tiny / slow), "revision": "tiny", "guidance": guidance}
    tables: dict[str, Any] = {
        "generator": {"kind": "diffusers", "dtype": "float32"} | changes.get("generator", {}),
        "stage": {
            "source": source | changes.get("source", {}),
            "target": slow_model | {"steps": 4, "strength": 0.7} | changes.get("target", {}),
            "teacher": slow_model | {"steps": 2} | changes.get("teacher", {}),
        },
        "dataset": {
            "prompt": "A portrait",
            "count": 4,
            "stages": ["source", "target", "teacher"],
            "size_px": 64,
            "shard_size": 4,
            "batch_size": 4,
            "splits": ["train"],
        }
        | changes.get("dataset", {}),
    }
    stages = tables["dataset"]["stages"]
    tables["stage"] = {stage: tables["stage"][stage] for stage in stages}
    shared = {"name": "tiny", "seed": 5, "fractions": [], "split": {}}
    return resolve(DatasetConfig, shared | tables, "test")


@pytest.fixture
def pair(tiny: Path) -> Pair:
    """Settings of a tiny pair of a family, with changes to its tables."""
    return lambda family="flux", **changes: make_pair(tiny, family, **changes)


@pytest.fixture(scope="session")
def samples() -> list[PlannedSample]:
    """Four samples, each with a prompt and seeds of its own."""
    return [
        PlannedSample(
            id=f"tiny-{number}",
            split="train",
            half=None,
            shard="train/shard-000000",
            index=number,
            train_rank=number,
            name=None,
            nconst=None,
            prompt=f"A professional portrait of Person {number}",
            seeds={"source": number, "target": 10 + number, "teacher": 20 + number},
        )
        for number in range(4)
    ]
