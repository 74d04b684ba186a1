"""The files of LPIPS in miniature: torchvision's backbones and lpips' linear layers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from models.features.backbones import BACKBONES, Convolution
from models.features.lpips import FILES, Net
from models.tiny.weights import seeded

_CHANNELS = 8


def write_lpips(folder: Path) -> None:
    """Write the files of both nets into a folder."""
    nets: tuple[Net, ...] = ("vgg", "alex")
    for seed, net in enumerate(nets, 41):
        backbone, linear = FILES[net]
        with seeded(seed):
            _save(_backbone(net), folder / backbone.path)
            taps = [one for one in BACKBONES[net] if isinstance(one, Convolution) and one.tap]
            # The published ones are not negative either.
            weights = {
                f"lin{number}.model.1.weight": torch.rand(1, _CHANNELS, 1, 1)
                for number in range(len(taps))
            }
            _save(weights, folder / linear.path)


def _backbone(net: Net) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    channels = 3
    for layer in BACKBONES[net]:
        if isinstance(layer, Convolution):
            size = channels * layer.kernel**2
            shape = (_CHANNELS, channels, layer.kernel, layer.kernel)
            # Of a size that keeps features as large through all layers.
            weights[f"features.{layer.number}.weight"] = torch.randn(shape) * (2 / size) ** 0.5
            weights[f"features.{layer.number}.bias"] = 0.1 * torch.randn(_CHANNELS)
            channels = _CHANNELS
    return weights


def _save(weights: dict[str, Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(weights, path)
