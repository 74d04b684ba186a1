from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from schemas.config import dataset_config, read_preset
from tasks.forecast import OPTIMISTIC, REALISTIC, forecast

PAPER = read_preset(Path("configs/paper.toml"))


def test_the_papers_pairs() -> None:
    """76 + 623 TFLOP a pair are 27.5 hours at the peak of an H100, and 87 at that of an A100."""
    expected = forecast(dataset_config(PAPER, "enhanced", "paper"), 140_000, 2189)
    hours = {one.gpu: one for one in expected.gpu_hours}
    assert hours["H100"].optimistic * OPTIMISTIC == pytest.approx(27.5, rel=0.01)
    assert hours["A100"].realistic * REALISTIC == pytest.approx(87.1, rel=0.01)
    assert all(one.optimistic < one.realistic for one in expected.gpu_hours)
    assert (expected.pictures, expected.samples) == (280_000, 140_000)
    assert 120e9 < expected.bytes < 145e9
    assert 3 * 2189 <= expected.files < 3 * 2189 + 50


def test_procedural_pictures_need_no_gpu(generated: Path) -> None:
    demo = dataset_config(read_preset(Path("configs/demo.toml")), "enhanced", "demo")
    assert forecast(demo, 512, 18).gpu_hours == ()


def test_the_forecast_of_bytes_holds_for_procedural_pairs(generated: Path) -> None:
    from shards.run import read_planned

    run, plan = read_planned(generated)
    made = sum(path.stat().st_size for path in generated.glob("*/shard-*"))
    expected = forecast(run.config, plan.num_rows, 10)
    assert 0.7 < expected.bytes / made < 1.5


def test_a_forecast_grows_with_samples_and_pixels() -> None:
    config = dataset_config(PAPER, "enhanced", "paper")
    one, ten = forecast(config, 1000, 16), forecast(config, 10_000, 157)
    larger = replace(config, dataset=replace(config.dataset, size_px=1024))
    for few, many, large in zip(
        one.gpu_hours, ten.gpu_hours, forecast(larger, 1000, 16).gpu_hours, strict=True
    ):
        assert many.realistic == pytest.approx(10 * few.realistic)
        assert large.realistic == pytest.approx(4 * few.realistic)
    assert ten.bytes == 10 * one.bytes


def test_the_teacher_costs_its_own_steps() -> None:
    """50 whole steps of the slow model, of which the target ran 35, and no source before them."""
    config = dataset_config(PAPER, "teacher", "paper")
    hours = {one.gpu: one.optimistic for one in forecast(config, 20_000, 313).gpu_hours}
    tflop = 20_000 * (50 * 17.7 + 5.2)
    assert hours["H100"] == pytest.approx(tflop / 989 / 3600 / OPTIMISTIC)
