"""What several rooms' tests start from: a tiny planned or generated dataset, made by the verbs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.presets import PROCEDURAL
from workflows import generate, plan

SLURM = "tests/slurm/"
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


# Nothing here asserts a time, and an example is slow where the machine has other work.
hypothesis.settings.register_profile(
    "house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")


class ByRoom(LoadScopeScheduling):
    """A file's tests stay in one process, and those of the one Slurm too.

    So several processes run all tests without making any fixture but the session's twice. Not
    xdist's own groups: with this pytest they are passed over without a word.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return SLURM if file.startswith(SLURM) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByRoom:
    return ByRoom(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of Slurm begin, as they take most."""
    items.sort(key=lambda item: not item.nodeid.startswith(SLURM))


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
