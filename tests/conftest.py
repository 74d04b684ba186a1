"""What several rooms' tests start from: a tiny planned or generated dataset, made by the verbs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.presets import PROCEDURAL
from workflows import generate, plan

SMALL = f"""
seed = 7
fractions = [0.2]
{PROCEDURAL}
# Two shards of one split.
[dataset.small]
prompt = "A portrait"
count = 8
stages = ["source", "target"]
size_px = 64
shard_size = 4
batch_size = 4
splits = ["train"]

# Several shards of every split.
[dataset.medium]
prompt = "A portrait"
count = 64
stages = ["source", "target"]
size_px = 64
shard_size = 8
batch_size = 4
"""


@pytest.fixture(scope="session")
def small_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def planned(tmp_path: Path, small_config: Path) -> Callable[..., Path]:
    """Plans a dataset of the small preset in a folder of the test."""

    def make(name: str = "small", *overrides: str, folder: str = "dataset") -> Path:
        dataset = tmp_path / folder
        argv = [str(small_config), "--dataset", name, "--out", str(dataset), *overrides]
        assert plan.main(argv) == 0
        return dataset

    return make


@pytest.fixture(scope="session")
def _generated_once(tmp_path_factory: pytest.TempPathFactory, small_config: Path) -> Path:
    dataset = tmp_path_factory.mktemp("generated") / "medium"
    assert plan.main([str(small_config), "--dataset", "medium", "--out", str(dataset)]) == 0
    assert generate.main(["--here", str(dataset)]) == 0
    return dataset


@pytest.fixture(scope="session")
def finished(_generated_once: Path) -> Path:
    """A finished dataset that all tests share, and only read."""
    return _generated_once


@pytest.fixture
def generated(_generated_once: Path, tmp_path: Path) -> Path:
    """A whole dataset with several shards of every split, for this test to break."""
    return Path(shutil.copytree(_generated_once, tmp_path / "medium"))


@pytest.fixture
def files() -> Callable[..., dict[str, bytes]]:
    """Reads every file of a dataset that does not tell of one run alone."""

    def read(dataset: Path, *also_left_out: str) -> dict[str, bytes]:
        left_out = {"owners", "quarantine", ".staging", *also_left_out}
        return {
            path.relative_to(dataset).as_posix(): path.read_bytes()
            for path in sorted(dataset.rglob("*"))
            if path.is_file()
            and path.relative_to(dataset).parts[0] not in left_out
            and not path.name.startswith("events")
        }

    return read
