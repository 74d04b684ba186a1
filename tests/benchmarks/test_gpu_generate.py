"""The GPU benchmark: its road in miniature, and the sizes it would build."""

from __future__ import annotations

import pytest
import torch

from benchmarks import gpu_generate
from benchmarks.random_flux import random_flux


def test_the_road_in_miniature(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--tiny", "--batches", "1", "2", "--modes", "eager", "--runs", "1"]
    assert gpu_generate.main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:3]] == ["plain loop"]
    assert [line.split()[:2] for line in lines[3:5]] == [["eager", "1"], ["eager", "2"]]
    assert all(" pairs/s" in line for line in lines[2:5])


def test_without_a_gpu_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_generate.main([]) == 2
    assert capsys.readouterr().err.startswith("error: no CUDA device here; add --tiny")


def test_full_size_is_the_published_size() -> None:
    """Built without memory behind it; millions of parameters, from the published weights' sizes."""
    pipelines = random_flux(torch.device("meta"))
    wanted = {"transformer": 11901, "text_encoder": 123, "text_encoder_2": 4762, "vae": 84}
    for name, millions in wanted.items():
        weights = list(getattr(pipelines["target"].run, name).parameters())
        assert round(sum(weight.numel() for weight in weights) / 1e6) == millions
        assert {weight.dtype for weight in weights} == {torch.bfloat16}
    for shared in ("vae", "text_encoder", "text_encoder_2"):
        ours, theirs = (getattr(pipelines[stage].run, shared) for stage in ("source", "target"))
        assert ours is theirs
