"""model.onnx: any height, width and batch, within 1e-3 of torch in onnxruntime, for every head."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from models.heads import onnx_file
from models.heads.build import build_network
from models.heads.enhancer import Enhancer, to_levels, to_unit
from models.heads.head import Head
from models.heads.onnx_file import PARITY, AnySize, difference, onnx_bytes
from schemas.endings import CannotGoOn
from schemas.head import NetworkSettings, ResnetSettings, UnetSettings

KINDS: dict[str, NetworkSettings] = {
    "cyclegan": ResnetSettings(width=8, num_blocks=2),
    "esa": ResnetSettings(width=8, num_blocks=1, attention="esa"),
    "esa at the bottleneck": ResnetSettings(
        width=8, num_blocks=1, attention="esa", attention_at="bottleneck", upsampling="resize"
    ),
    "cbam": ResnetSettings(
        width=8, halvings=0, num_blocks=1, attention="cbam", detail_gain=4.0, residual_output=True
    ),
    "group": ResnetSettings(width=8, num_blocks=1, norm="group", attention_at="block"),
    "unet": UnetSettings(width=8, levels=3),
    "unet, transposed": UnetSettings(
        width=8, levels=2, norm="instance", attention="none", upsampling="transposed"
    ),
}


def network_of(kind: NetworkSettings) -> Any:
    network = build_network(kind, seed=0).eval()
    chance = torch.Generator().manual_seed(1)
    torch.nn.init.normal_(network.last.weight, std=0.05, generator=chance)
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_any_size_and_batch_within_a_thousandth(kind: str) -> None:
    network = network_of(KINDS[kind])
    data = onnx_bytes(network)
    onnx.checker.check_model(onnx.load_from_string(data))
    shapes = [(1, 64, 64), (3, 97, 161), (2, 200, 67), (1, network.min_side_px, 130)]
    assert difference(AnySize(network), data, shapes) <= PARITY
    # And it is the same picture that Relume makes.
    levels = np.random.default_rng(1).integers(0, 256, (70, 101, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    given = to_unit(torch.from_numpy(levels).permute(2, 0, 1)[None]).numpy()
    (found,) = session.run(["enhanced"], {"pictures": given})
    made = to_levels(torch.from_numpy(found))[0].permute(1, 2, 0).numpy()
    (ours,) = Enhancer(network)([levels])
    assert np.abs(made.astype(int) - ours).max() <= 1


def test_a_head_is_exported_whole(tmp_path: Path) -> None:
    kind = KINDS["unet"]
    Head(network_of(kind), kind).save(tmp_path / "head", onnx=True)
    assert (tmp_path / "head" / "model.onnx").stat().st_size > 10_000
    assert Head.from_pretrained(tmp_path / "head").settings == kind


def test_a_file_that_differs_is_never_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "difference", lambda *_: 0.002)
    with pytest.raises(CannotGoOn, match=r"differs by 2.0e-03 of -1..1, more than 0.001"):
        onnx_bytes(network_of(KINDS["unet"]))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any, **named: Mapping[str, Any]) -> Any:
        if name == "onnxscript":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match="and onnxscript is not here; install it from"):
        onnx_bytes(network_of(KINDS["unet"]))
