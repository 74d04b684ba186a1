"""metrics.jsonl of a run, and whoever else was asked to be told: TensorBoard, W&B, MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.endings import ends_the_run
from schemas.seeds import stable_hash
from schemas.train import RecordSettings
from schemas.training import TrainingRecord
from shards import filesystem, layout
from shards.encoding import json_bytes
from shards.record_file import read_record

METRICS, TRACKERS = "metrics.jsonl", "trackers.json"
Told = Callable[[int, Mapping[str, float]], None]


class TrainingLog:
    """Tells numbers by step. What a killed run told beyond its saved state is taken back."""

    def __init__(self, run: Path, settings: RecordSettings, steps_done: int) -> None:
        self._path = run / METRICS
        self._keep_until(steps_done)
        self._others = list(_others(run, settings, steps_done))

    def tell(self, kind: str, steps_done: int, epoch: int, values: Mapping[str, float]) -> None:
        """Append a line, and tell the others."""
        line = {"kind": kind, "step": steps_done, "epoch": epoch, **values}
        with ends_the_run():
            filesystem.append_line(self._path, json.dumps(line).encode())
        for other in self._others:
            other(steps_done, {f"{kind}/{key}": value for key, value in values.items()})

    def _keep_until(self, steps_done: int) -> None:
        if not self._path.exists():
            return
        lines = self._path.read_bytes().splitlines(keepends=True)
        kept = b"".join(line for line in lines if _step_of(line) <= steps_done)
        with ends_the_run():
            filesystem.replace_file(self._path.parent, self._path, filesystem.plain(kept))


def _step_of(line: bytes) -> float:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # cut short by a crash


def _others(run: Path, settings: RecordSettings, steps_done: int) -> list[Told]:
    found: list[Told] = []
    if settings.tensorboard:
        from torch.utils.tensorboard import SummaryWriter

        writer: Any = SummaryWriter(str(run / "tensorboard"), purge_step=steps_done + 1)
        found.append(lambda step, values: _add_scalars(writer, step, values))
    if settings.wandb is not None:
        wandb = _package("wandb", "train.record.wandb")
        known = _known_as(run, "wandb") or _know_as(run, "wandb", _own_id(run))
        wandb.init(project=settings.wandb, name=run.name, id=known, resume="allow", dir=str(run))
        found.append(lambda step, values: wandb.log(dict(values), step=step))
    if settings.mlflow is not None:
        mlflow = _package("mlflow", "train.record.mlflow")
        mlflow.set_experiment(settings.mlflow)
        begun = mlflow.start_run(run_id=_known_as(run, "mlflow"), run_name=run.name)
        _know_as(run, "mlflow", begun.info.run_id)
        found.append(lambda step, values: mlflow.log_metrics(dict(values), step=step))
    return found


def _own_id(run: Path) -> str:
    """A name that no other run has: by its folder, and by what it is made by."""
    made = read_record(run / layout.RUN, TrainingRecord).fingerprint()
    return f"{run.name}-{stable_hash(str(run.absolute()), made):016x}"


def _known_as(run: Path, tracker: str) -> str | None:
    """What a tracker calls the run, as its first start has kept."""
    path = run / TRACKERS
    if not path.exists():
        return None
    try:
        known = json.loads(path.read_bytes()).get(tracker)
    except (ValueError, AttributeError):
        raise ValueError(f"{path}: is damaged; remove it, and trackers begin anew") from None
    return None if known is None else str(known)


def _know_as(run: Path, tracker: str, name: str) -> str:
    path = run / TRACKERS
    known = json.loads(path.read_bytes()) if path.exists() else {}
    with ends_the_run():
        filesystem.replace_file(run, path, filesystem.plain(json_bytes({**known, tracker: name})))
    return name


def _add_scalars(writer: Any, step: int, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        writer.add_scalar(name, value, step)


def _package(name: str, setting: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(
            f"{setting}: needs the package {name}, which is not installed; "
            f"pip install {name}, or leave the setting out"
        ) from None
