"""Known times give known savings; batches end where they gain nothing or do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metrics.intervals import median_interval
from schemas.benchmark import BenchmarkSettings, Timing
from schemas.endings import CannotGoOn, DoesNotFit
from tasks.timing.pictures import time_row
from tasks.timing.stopwatch import Stopwatch
from tasks.timing.tables import Costs, benchmark_tables, savings


def timing(what: str, seconds: float, size_px: int = 512, spread: float = 0.0) -> Timing:
    values = seconds * (1 + spread * np.linspace(-1, 1, 51))
    return Timing(
        what=what,
        size_px=size_px,
        seconds=tuple(values.tolist()),
        batch=4,
        batch_seconds=(2 * seconds,),
        memory_bytes=1 << 30,
        joules_per_picture=None,
    )


def rows(size_px: int = 512, spread: float = 0.0) -> list[Timing]:
    return [
        timing("teacher", 20.0, size_px, spread),
        timing("source", 4.0, size_px, spread),
        timing("source + head", 4.2, size_px, spread),
        timing("head, on the device", 0.1, size_px, spread),
    ]


def test_savings_of_known_times() -> None:
    (found,) = savings(rows())
    assert found.share == pytest.approx(1 - 4.2 / 20)
    assert found.from_parts == pytest.approx(1 - 4.1 / 20)
    assert (found.low, found.high) == pytest.approx((found.share, found.share))
    (wide,) = savings(rows(spread=0.3))
    assert wide.low < wide.share < wide.high
    assert savings(rows()[1:]) == []


def test_the_tables() -> None:
    costs = Costs(data_gpu_hours=3.0, training_gpu_hours=1.0)
    tables = benchmark_tables([*rows(), *rows(1024)], costs, "a GPU")
    assert tables[0].rows[-1][1] == "79.0 %"
    # Each row's sizes together, as the teacher's are, not each size's rows.
    assert [row[:2] for row in tables[1].rows[:4]] == [
        *(("teacher", "512"), ("teacher", "1024"), ("source", "512"), ("source", "1024"))
    ]
    assert [row[0] for row in tables[1].rows[4::2]] == ["source + head", "head, on the device"]
    # A picture of the best batch saves 10 - 2.1 s.
    assert tables[2].rows[0][3] == f"{4 * 3600 / 7.9:,.0f}"
    assert tables[3].rows[1][3] == "22.718 s"
    unknown = benchmark_tables(rows(), Costs(data_gpu_hours=1.0, training_gpu_hours=None), "x")
    assert unknown[2].rows[0][3] == "not known"
    assert "--training-gpu-hours" in unknown[2].note
    slower = [timing("teacher", 1.0), *rows()[1:]]
    assert benchmark_tables(slower, costs, "x")[2].rows[0][3] == "never"
    nothing_told = Costs(data_gpu_hours=None, training_gpu_hours=None)
    assert benchmark_tables(slower, nothing_told, "x")[2].rows[0][3] == "never"


def test_an_interval_of_the_median_covers_it() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        middle, low, high = median_interval(rng.exponential(size=50))
        assert low <= middle <= high
        covered += low <= np.log(2) <= high
    assert 0.93 < covered / 400 < 0.995
    assert median_interval([3.0]) == (3.0, 3.0, 3.0)


class Clock:
    """Work that takes as long as it says, on a clock that only it moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.batches = 0.0, list[int]()
        monkeypatch.setattr("tasks.timing.stopwatch.time.perf_counter", lambda: self.now)

    def work(self, batch: int) -> None:
        self.batches.append(batch)
        if batch > 4:
            raise DoesNotFit("8 pictures of 64 px: too large for this GPU")
        # Two at once take as long as one, four as long as twice two.
        self.now += {1: 1.0, 2: 1.0, 4: 2.0}[batch]


def test_the_best_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    settings = BenchmarkSettings(batches=(1, 2, 4, 8), warm_ups=2, repeats=5, search_repeats=2)
    found = time_row("source", 64, clock.work, Stopwatch(torch.device("cpu")), settings)
    assert (found.batch, found.batch_seconds, found.seconds) == (2, (1.0, 1.0), (1.0,) * 5)
    assert found.left_out == "4 at once gain nothing"
    assert found.joules_per_picture is None
    assert clock.batches == [1] * 7 + [2] * 3 + [4] * 3 + [2] * 3


def test_a_batch_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    settings = BenchmarkSettings(batches=(1, 8), warm_ups=0, repeats=5, search_repeats=1)
    found = time_row("source", 64, clock.work, Stopwatch(torch.device("cpu")), settings)
    assert (found.batch, found.left_out) == (1, "8 at once do not fit into memory")

    def broken(batch: int) -> None:
        if batch > 1:
            raise CannotGoOn("the disk is full")

    with pytest.raises(CannotGoOn, match="disk"):
        time_row("source", 64, broken, Stopwatch(torch.device("cpu")), settings)


def test_the_peak_is_of_what_came_since() -> None:
    """Though the process holds memory that earlier work has freed: the new would fit there."""
    earlier = [np.ones(100_000, np.uint8) for _ in range(2_000)]
    last = earlier.pop()
    earlier.clear()

    watch = Stopwatch(torch.device("cpu"))
    watch.forget_peak()
    before = watch.peak_bytes()
    held = np.ones(100_000_000, np.uint8)
    assert watch.peak_bytes() > before + 80_000_000
    assert (held.sum(), last.sum()) == (100_000_000, 100_000)
