"""The convolutions of VGG16 and AlexNet up to their last tap, in torchvision's numbering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Convolution:
    """Layer N of torchvision's `features`, and the ReLU after it."""

    number: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    tap: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """The largest of a window, every second place."""

    kernel: int


Architecture = Sequence[Convolution | Pool]


def _vgg16() -> Architecture:
    layers: list[Convolution | Pool] = []
    number = 0
    for convolutions in (2, 2, 3, 3, 3):
        if layers:
            layers.append(Pool(2))
            number += 1
        for one in range(convolutions):
            layers.append(Convolution(number, tap=one == convolutions - 1))
            # A convolution and a ReLU.
            number += 2
    return layers


BACKBONES: Mapping[str, Architecture] = {
    # relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3.
    "vgg": _vgg16(),
    # relu1 to relu5.
    "alex": [
        Convolution(0, kernel=11, stride=4, padding=2, tap=True),
        Pool(3),
        Convolution(3, kernel=5, padding=2, tap=True),
        Pool(3),
        Convolution(6, tap=True),
        Convolution(8, tap=True),
        Convolution(10, tap=True),
    ],
}


class Backbone(nn.Module):
    """An architecture with published weights, which say how wide it is."""

    def __init__(self, architecture: Architecture, published: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.widths: list[int] = []
        self._taps: list[int] = []
        self.layers = nn.ModuleList()
        channels = 3
        for layer in architecture:
            if isinstance(layer, Pool):
                self.layers.append(nn.MaxPool2d(layer.kernel, stride=2))
                continue
            made = _convolution(layer, channels, published)
            channels = made.out_channels
            self.layers.append(nn.Sequential(made, nn.ReLU()))
            if layer.tap:
                self._taps.append(len(self.layers) - 1)
                self.widths.append(channels)
        self.min_side_px = _least_side(architecture)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The features after each tap."""
        height, width = pictures.shape[-2:]
        if min(height, width) < self.min_side_px:
            raise ValueError(
                f"pictures of {width} x {height} px: this network needs sides of at least "
                f"{self.min_side_px} px; take larger pictures"
            )
        features, taps = pictures, []
        for number, layer in enumerate(self.layers):
            features = layer(features)
            if number in self._taps:
                taps.append(features)
        return taps


def _convolution(layer: Convolution, channels: int, published: Mapping[str, Tensor]) -> nn.Conv2d:
    name = f"features.{layer.number}"
    for key in (f"{name}.weight", f"{name}.bias"):
        if key not in published:
            raise ValueError(f"{key!r} is missing")
    weight, bias = published[f"{name}.weight"], published[f"{name}.bias"]
    wanted = (channels, layer.kernel, layer.kernel)
    if weight.ndim != 4 or tuple(weight.shape[1:]) != wanted or bias.shape != weight.shape[:1]:
        raise ValueError(
            f"'{name}' has shapes {tuple(weight.shape)} and {tuple(bias.shape)}, "
            f"wanted (C, {', '.join(map(str, wanted))}) and (C,)"
        )
    made = nn.Conv2d(channels, len(weight), layer.kernel, layer.stride, layer.padding)
    with torch.no_grad():
        made.weight.copy_(weight)
        assert made.bias is not None
        made.bias.copy_(bias)
    return made


def _least_side(architecture: Architecture) -> int:
    """The smallest side that leaves a place at the end, going backwards through the layers."""
    side = 1
    for layer in reversed(architecture):
        if isinstance(layer, Pool):
            side = 2 * (side - 1) + layer.kernel
        else:
            side = max(1, layer.stride * (side - 1) + layer.kernel - 2 * layer.padding)
    return side
