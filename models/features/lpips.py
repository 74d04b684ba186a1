"""LPIPS v0.1 (Zhang et al. 2018): how different two pictures look, by VGG or AlexNet features.

Weights are read from the files that torchvision and lpips publish. Widths follow the shapes in the
files, so tiny files of the same layout go through the same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from models.features.backbones import BACKBONES, Backbone
from models.tensor_file import read_tensors

Net = Literal["vgg", "alex"]
# Inside the root: the root itself has no gradient where all features are zero.
_EPS = 1e-10
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A published file: where it lies in the folder of weights, and where it comes from."""

    path: str
    url: str


def _files(net: Net, backbone: str) -> tuple[WeightFile, WeightFile]:
    linear = f"lpips/v0.1/{net}.pth"
    return (
        WeightFile(backbone, f"https://download.pytorch.org/models/{backbone}"),
        WeightFile(linear, f"{_LPIPS}/{linear.replace('lpips/', 'lpips/weights/', 1)}"),
    )


_LPIPS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master"
FILES: Mapping[Net, tuple[WeightFile, WeightFile]] = {
    "vgg": _files("vgg", "vgg16-397923af.pth"),
    "alex": _files("alex", "alexnet-owt-7be5be79.pth"),
}


class Lpips(nn.Module):
    """The distance of pairs of pictures; its weights are fixed."""

    shift: Tensor
    scale: Tensor

    def __init__(self, backbone: Backbone, weights: list[Tensor]) -> None:
        super().__init__()
        self.backbone = backbone
        # How much each channel of each tap counts: (1, C, 1, 1).
        for number, one in enumerate(weights):
            self.register_buffer(f"weight_{number}", one)
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Distances (N,) of pictures (N, 3, H, W) in -1..1; 0 for equal ones."""
        if output.shape != target.shape:
            raise ValueError(
                f"pictures of shapes {tuple(output.shape)} and {tuple(target.shape)}: "
                "LPIPS compares pictures of one size"
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and target.requires_grad):
            wanted = [_directions(tap) for tap in self.backbone(self._scaled(target))]
        found = [_directions(tap) for tap in self.backbone(self._scaled(output))]
        distances = [
            ((one - other).square() * self.get_buffer(f"weight_{number}")).sum(1).mean((1, 2))
            for number, (one, other) in enumerate(zip(found, wanted, strict=True))
        ]
        return torch.stack(distances).sum(0)

    def _scaled(self, pictures: Tensor) -> Tensor:
        return (pictures - self.shift) / self.scale


def load_lpips(net: Net, folder: Path) -> Lpips:
    """LPIPS with the published weights in this folder."""
    backbone_file, linear_file = FILES[net]
    mend = f"get it with: relume fetch --lpips {net} --lpips-weights {folder}"
    backbone_path, linear_path = folder / backbone_file.path, folder / linear_file.path
    # Both are looked for before the large one is read.
    for path in (backbone_path, linear_path):
        if not path.exists():
            raise ValueError(f"{path}: is missing; {mend}")
    published = read_tensors(backbone_path, mend)
    try:
        backbone = Backbone(BACKBONES[net], published)
    except ValueError as error:
        raise ValueError(f"{backbone_path}: {error}; {mend}") from None
    linear = read_tensors(linear_path, mend)
    weights = []
    for number, channels in enumerate(backbone.widths):
        name, wanted = f"lin{number}.model.1.weight", (1, channels, 1, 1)
        shape = tuple(linear[name].shape) if name in linear else None
        if shape != wanted:
            told = "is missing" if shape is None else f"has shape {shape}"
            raise ValueError(f"{linear_path}: {name!r} {told}, wanted {wanted}; {mend}")
        weights.append(linear[name].float())
    return Lpips(backbone, weights)


def _directions(features: Tensor) -> Tensor:
    """Each place's features with length 1, in float32."""
    features = features.float()
    return features / (features.square().sum(1, keepdim=True) + _EPS).sqrt()
