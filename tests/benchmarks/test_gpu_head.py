"""The GPU benchmark of a head: its road in miniature, and its refusal."""

from __future__ import annotations

import pytest
import torch

from benchmarks import gpu_head
from models.heads.build import build_network
from schemas.head import ResnetSettings


def test_the_road_in_miniature(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--tiny", "--batches", "1", "3", "--modes", "eager", "--runs", "1", "--files", "7"]
    assert gpu_head.main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:4]] == [["eager", "1"], ["eager", "3"]]
    assert "pictures/s from PNG to PNG" in lines[4]


def test_without_a_gpu_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_head.main([]) == 2
    assert capsys.readouterr().err.startswith("error: no CUDA device here; add --tiny")


def test_its_arithmetic_is_the_networks() -> None:
    network = build_network(ResnetSettings(), 0)
    counted = []

    def count(module: torch.nn.Module, given: tuple[torch.Tensor], made: torch.Tensor) -> None:
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        # A transposed convolution uses its kernel once for each place that it is given.
        places = given[0] if isinstance(module, torch.nn.ConvTranspose2d) else made
        counted.append(2 * weight.numel() * places.shape[-1] * places.shape[-2])

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(1, 3, 64, 64))
    assert sum(counted) * (512 / 64) ** 2 / 1e12 == pytest.approx(gpu_head.TFLOP, rel=0.01)
