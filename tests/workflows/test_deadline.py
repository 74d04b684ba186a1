"""When a run has to be over: as a person says it, and as Slurm does."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest

from workflows.deadline import SLURM_MARGIN_S, parse_deadline


def test_without_a_word_it_is_the_end_of_the_slurm_job() -> None:
    assert parse_deadline(None, {}) is None
    job = {"SLURM_JOB_END_TIME": "1800000000"}
    assert parse_deadline(None, job) == 1_800_000_000 - SLURM_MARGIN_S
    assert parse_deadline("none", job) is None
    # Some versions of Slurm say so where there is no limit.
    assert parse_deadline(None, {"SLURM_JOB_END_TIME": "Unknown"}) is None


@pytest.mark.parametrize(
    ("text", "lasts_s"), [("90s", 90), ("30min", 1800), ("4h", 14_400), ("1h30min10s", 5410)]
)
def test_durations(text: str, lasts_s: int) -> None:
    before = time.time()
    found = parse_deadline(text, {"SLURM_JOB_END_TIME": "1800000000"})
    assert found is not None
    assert before + lasts_s <= found <= time.time() + lasts_s


def test_moments() -> None:
    tomorrow = (datetime.now() + timedelta(days=1)).replace(microsecond=0)
    assert parse_deadline(tomorrow.isoformat(), {}) == tomorrow.timestamp()
    with pytest.raises(ValueError, match="is over already"):
        parse_deadline("2020-01-01T00:00", {})


@pytest.mark.parametrize("text", ["", "soon", "4 h", "h", "3d", "25:99"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"--deadline .*: should be a time such as"):
        parse_deadline(text, {})
