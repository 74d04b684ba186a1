"""The layers hold, and a planted import that breaks them is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shards.provenance import ROOMS, ROOT

DOWN = "A room imports only the rooms below it"


def lint(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=checkout,
        env={"PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_house_stands(checkout: Path) -> None:
    done = lint(checkout)
    assert done.returncode == 0, done.stdout
    assert "4 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("room", "line", "contract"),
    [
        ("schemas", "import shards.plan", DOWN),
        ("metrics", "import models", DOWN),
        ("shards", "def late():\n    from workflows import plan", DOWN),
        ("shards", "import tasks.forecast", DOWN),
        ("tasks", "import workflows.cli", DOWN),
        ("tasks", "import cluster", DOWN),
        ("cluster", "import slurm", DOWN),
        ("models", "import shards.tar", DOWN),
        ("workflows", "import ray", "Only cluster/ imports ray"),
        ("models", "def late():\n    from ray.util import queue", "Only cluster/ imports ray"),
        ("tasks", "import submitit", "Only slurm/ imports submitit"),
        ("cluster", "import submitit.core", "Only slurm/ imports submitit"),
    ],
)
def test_a_planted_import_is_found(checkout: Path, room: str, line: str, contract: str) -> None:
    (checkout / room / "planted.py").write_text(f'"""Planted."""\n\n{line}\n')
    done = lint(checkout)
    assert done.returncode == 1, done.stdout
    assert f"{contract} BROKEN" in done.stdout
    assert f"{room}.planted" in done.stdout


def test_parts_import_each_other_in_one_direction(checkout: Path) -> None:
    (checkout / "tasks/training/planted.py").write_text('"""Planted."""\n\nimport tasks.heads\n')
    done = lint(checkout)
    assert done.returncode == 1, done.stdout
    assert "Parts import each other in one direction BROKEN" in done.stdout
    assert "No cycles are allowed in tasks." in done.stdout


def test_each_library_has_its_room_and_imports_go_down(checkout: Path) -> None:
    for room, line in (
        ("cluster", "import ray"),
        ("slurm", "import submitit"),
        ("workflows", "import cluster, slurm, tasks, models, shards, schemas"),
        ("tasks", "import models, metrics, shards, schemas"),
    ):
        (checkout / room / "planted.py").write_text(f'"""Planted."""\n\n{line}\n')
    done = lint(checkout)
    assert done.returncode == 0, done.stdout
