"""A head learns: after a fixed number of steps it is nearer to the targets than its input is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from models.features.lpips import load_lpips
from models.heads.head import Head
from models.tiny.lpips import write_lpips
from schemas.sample import Stage
from schemas.settings import resolve
from schemas.train import TrainConfig
from shards.reader import Reader
from tasks.ranks import Ranks
from tasks.train_head import Training
from tasks.training_processes import agree
from tasks.training_samples import TrainJob

UNET = {
    "network": {"kind": "unet", "width": 8, "levels": 3, "residual_output": True},
    "objective": {"kind": "paired", "structure_weight": 0.05, "perceptual": "alex"},
    "phase": [{"epochs": 12, "batch_size": 4}],
    "data": {"loader_workers": 0},
    "optimiser": {"learning_rate": 1e-3, "decay_epochs": 6},
    "validation": {"every_epochs": 4},
}


@pytest.fixture
def dataset(_generated_once: Path) -> Path:
    """What all tests train on; it is only read."""
    return _generated_once


def pictures(dataset: Path, stage: Stage) -> list[NDArray[np.uint8]]:
    reader = Reader(dataset, "validation")
    return [
        np.asarray(Image.open(io.BytesIO(reader.read(place, stage))).convert("RGB"))
        for place in range(len(reader))
    ]


def test_the_unet_ends_nearer_to_the_target_than_its_input_is(
    dataset: Path, tmp_path: Path
) -> None:
    write_lpips(tmp_path)
    config = resolve(TrainConfig, UNET, "test")
    job = TrainJob(config, dataset, tmp_path / "run", None, tmp_path)
    agree(job, 1, None)
    list(Training(job, Ranks(), lambda: False).run())
    sources, targets = (pictures(dataset, stage) for stage in ("source", "target"))
    outputs = Head.from_pretrained(tmp_path / "run/head").apply(sources)
    lpips = load_lpips("alex", tmp_path)

    def distance(ours: list[NDArray[np.uint8]]) -> float:
        one, other = (
            torch.from_numpy(np.stack(of)).permute(0, 3, 1, 2).float() / 127.5 - 1
            for of in (ours, targets)
        )
        with torch.inference_mode():
            return float(lpips(one, other).mean())

    before, after = distance(sources), distance(outputs)
    assert after < 0.9 * before
