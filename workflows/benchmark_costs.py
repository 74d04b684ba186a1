"""What a head has cost before its first picture: told, or read where it was spent."""

from __future__ import annotations

from pathlib import Path

from shards.events import published_s
from shards.run import read_run
from tasks.timing.tables import Costs
from tasks.training.device_clock import DEVICE_S, device_seconds
from tasks.training.log import METRICS
from workflows.console import Console
from workflows.phases import sources_folder


def spent(data: Path | None, run: Path | None, told: Costs, console: Console) -> Costs:
    """What is told on the command line, and what dataset and run tell where that is not."""
    data_hours, training_hours = told.data_gpu_hours, told.training_gpu_hours
    if data_hours is None and data is not None:
        data_hours = _data_hours(data, console)
    if training_hours is None and run is not None:
        training_hours = _training_hours(run, console)
    return Costs(data_gpu_hours=data_hours, training_gpu_hours=training_hours)


def _data_hours(dataset: Path, console: Console) -> float | None:
    """Worker-hours of what is published, a GPU each; those of sources that were made first too."""
    read_run(dataset)
    spent_s = published_s(dataset)
    if spent_s is None:
        console.warn(f"{dataset}: no event tells how long it took; give --data-gpu-hours")
        return None
    return (spent_s + (published_s(sources_folder(dataset)) or 0.0)) / 3600


def _training_hours(run: Path, console: Console) -> float | None:
    """Device-hours up to the last line of metrics.jsonl."""
    if not (run / METRICS).is_file():
        raise ValueError(f"--run {run}: has no {METRICS}; give a folder that relume train made")
    spent_s = device_seconds(run / METRICS)
    if spent_s is None:
        console.warn(f"{run / METRICS}: does not tell {DEVICE_S}; give --training-gpu-hours")
        return None
    return spent_s / 3600
