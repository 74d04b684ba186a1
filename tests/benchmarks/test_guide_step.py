"""The benchmark of a guidance step: its road in miniature, and what checkpointing keeps."""

from __future__ import annotations

import re

import pytest

from benchmarks import guide_step


def test_the_road_in_miniature(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guide_step, "PIECES", 1)
    assert guide_step.main(["--size", "32", "--runs", "1"]) in (0, 1)
    told = capsys.readouterr().out
    kept = [float(one.replace(",", "")) for one in re.findall(r"way back ([\d,]+) MB", told)]
    assert "without checkpointing" in told
    assert kept[1] < 0.5 * kept[0]
