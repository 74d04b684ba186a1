"""Trackers of experiments: each run is one of theirs, also after it is continued."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from schemas.settings import as_plain, resolve
from schemas.train import RecordSettings, TrainConfig
from schemas.training import TrainingRecord
from tasks.training.log import TrainingLog

CONFIG = {
    "network": {"kind": "unet", "levels": 2},
    "objective": {"kind": "paired"},
    "phase": [{"epochs": 1}],
}


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """Both trackers' modules in the place of packages that need a server; what they are told."""
    told: dict[str, list[dict[str, Any]]] = {"wandb": [], "mlflow": []}

    def start_run(run_id: str | None = None, run_name: str = "") -> SimpleNamespace:
        told["mlflow"].append({"run_id": run_id, "run_name": run_name})
        name = run_id or f"made-{len(told['mlflow'])}"
        return SimpleNamespace(info=SimpleNamespace(run_id=name))

    wandb = SimpleNamespace(
        init=lambda **words: told["wandb"].append(words), log=lambda values, step: None
    )
    mlflow = SimpleNamespace(
        set_experiment=lambda name: None,
        start_run=start_run,
        log_metrics=lambda values, step: None,
    )
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    return told


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        folder = tmp_path / name / "run"
        folder.mkdir(parents=True)
        config = resolve(TrainConfig, CONFIG, "test")
        record = TrainingRecord(
            config=as_plain(config),
            dataset="d",
            selection=None,
            processes=1,
            code="c",
            libraries={},
        )
        (folder / "run.json").write_text(json.dumps(as_plain(record)))
        return folder

    return make


SETTINGS = RecordSettings(wandb="project", mlflow="experiment")


def test_two_runs_are_two_and_a_continued_one_stays_one(
    run: Callable[[str], Path], begun: dict[str, list[dict[str, Any]]]
) -> None:
    first, second = run("first"), run("second")
    for one in (first, second, first):
        TrainingLog(one, SETTINGS, 0).tell("step", 1, 0, {"loss": 0.5})
    ids = [words["id"] for words in begun["wandb"]]
    assert ids[0] == ids[2] != ids[1]
    assert [words["run_id"] for words in begun["mlflow"]] == [None, None, "made-1"]
    # Also where the folder has moved.
    moved = first.rename(first.parent / "moved")
    TrainingLog(moved, SETTINGS, 1)
    assert begun["wandb"][-1]["id"] == ids[0]


def test_a_damaged_list_of_trackers_is_named(
    run: Callable[[str], Path], begun: dict[str, list[dict[str, Any]]]
) -> None:
    folder = run("first")
    (folder / "trackers.json").write_text("[")
    with pytest.raises(ValueError, match=r"trackers.json: is damaged; remove it"):
        TrainingLog(folder, SETTINGS, 0)
    assert begun["wandb"] == []
