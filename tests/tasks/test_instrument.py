"""What the closure of texture is worth: it orders gaps, and gives nothing for nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from metrics.closure import gap_closure
from metrics.frechet import frechet_distance
from models.features.texture import TextureFeatures
from models.straw_men import Filter, filtered
from schemas.measure import ByGrain, BySharpening
from schemas.sample import Stage
from shards.reader import Reader
from workflows import generate, plan

Picture = NDArray[np.uint8]
GAPS = (0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory, small_config: Path) -> dict[float, Path]:
    """The same people with three sizes of gap."""
    folder = tmp_path_factory.mktemp("gaps")
    made = {}
    for gap in GAPS:
        out = made[gap] = folder / str(gap)
        words = ["--dataset", "medium", "--generator.gap", str(gap), "--dataset.splits", "train"]
        assert plan.main([str(small_config), "--out", str(out), *words]) == 0
        assert generate.main(["--here", str(out)]) == 0
    return made


def pictures(dataset: Path, stage: Stage) -> list[Picture]:
    reader = Reader(dataset, "train")
    return [
        np.asarray(Image.open(io.BytesIO(reader.read(place, stage))).convert("RGB"))
        for place in range(len(reader))
    ]


def by(change: Filter) -> Callable[[list[Picture]], list[Picture]]:
    return lambda pictures: [filtered(change, one, str(at)) for at, one in enumerate(pictures)]


def sharpened(amount: float) -> Callable[[list[Picture]], list[Picture]]:
    return by(BySharpening(amount=amount, radius_px=1.0))


def grained(levels: float) -> Callable[[list[Picture]], list[Picture]]:
    return by(ByGrain(levels=levels))


def test_gaps_come_out_in_their_order(datasets: dict[float, Path]) -> None:
    features = TextureFeatures()
    distances = [
        frechet_distance(*(features.of_levels(pictures(made, s)) for s in ("source", "target")))
        for made in datasets.values()
    ]
    assert distances == sorted(distances)
    assert distances[2] > 1.5 * distances[1] > 10 * distances[0]


def test_where_there_is_no_gap_nothing_is_gained(datasets: dict[float, Path]) -> None:
    features = TextureFeatures()
    sources, targets = (pictures(datasets[0.0], stage) for stage in ("source", "target"))
    source, target = features.of_levels(sources), features.of_levels(targets)
    assert gap_closure(source, source, target) == 0
    for change in (sharpened(0.5), grained(2)):
        changed = features.of_levels(change(sources))
        assert gap_closure(source, changed, target) < 0.1


def test_more_is_not_better(datasets: dict[float, Path]) -> None:
    """What sharpening and grain can gain ends soon: too much of either is worse than nothing."""
    features = TextureFeatures()
    sources, targets = (pictures(datasets[1.0], stage) for stage in ("source", "target"))
    source, target = features.of_levels(sources), features.of_levels(targets)
    for strong in (sharpened(6), grained(20)):
        changed = features.of_levels(strong(sources))
        assert gap_closure(source, changed, target) < 0
    assert gap_closure(source, target, target) == pytest.approx(1, abs=1e-6)
