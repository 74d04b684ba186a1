"""FID's Inception-v3 in torch-fidelity's layout: of a few channels, or with the widths it has.

The tiny one keeps every name, kernel and stride; its taps have as many features as the names of
the tiny widths say, not 64 to 2048.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from models.features.inception_layers import BLOCKS, STEM, Branch, Convolution, Fork, Pool
from models.published_files import MEASURES
from models.tiny.weights import seeded

_TINY = 4
_CLASSES = 1008
# The published widths that do not follow from a layer's last number alone.
_STEM = {
    "Conv2d_1a_3x3": 32,
    "Conv2d_2a_3x3": 32,
    "Conv2d_2b_3x3": 64,
    "Conv2d_3b_1x1": 80,
    "Conv2d_4a_3x3": 192,
}
_A = {
    "branch1x1": 64,
    "branch5x5_1": 48,
    "branch5x5_2": 64,
    "branch3x3dbl_1": 64,
    "branch3x3dbl_2": 96,
    "branch3x3dbl_3": 96,
}
_E = {
    "branch1x1": 320,
    "branch3x3_1": 384,
    "branch3x3_2a": 384,
    "branch3x3_2b": 384,
    "branch3x3dbl_1": 448,
    "branch3x3dbl_2": 384,
    "branch3x3dbl_3a": 384,
    "branch3x3dbl_3b": 384,
    "branch_pool": 192,
}


def _c(inner: int) -> dict[str, int]:
    ends = {"branch1x1": 192, "branch7x7_3": 192, "branch7x7dbl_5": 192, "branch_pool": 192}
    middle = ["branch7x7_1", "branch7x7_2", *(f"branch7x7dbl_{number}" for number in range(1, 5))]
    return {**ends, **dict.fromkeys(middle, inner)}


_BLOCKS = {
    "Mixed_5b": {**_A, "branch_pool": 32},
    "Mixed_5c": {**_A, "branch_pool": 64},
    "Mixed_5d": {**_A, "branch_pool": 64},
    "Mixed_6a": {"branch3x3": 384, **_A},
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": {
        "branch3x3_1": 192,
        "branch3x3_2": 320,
        **{f"branch7x7x3_{number}": 192 for number in range(1, 5)},
    },
    "Mixed_7b": _E,
    "Mixed_7c": _E,
}


def write_inception(folder: Path, *, full_size: bool = False, seed: int = 51) -> None:
    """Write the file into a folder: 0.3 MB, or 95 MB with the published widths."""
    weights: dict[str, Tensor] = {}
    with seeded(seed):
        channels = 3
        for steps in STEM.values():
            channels = _add(weights, steps, "", _STEM if full_size else {}, channels)
        for blocks in BLOCKS.values():
            for block, branches in blocks.items():
                widths = _BLOCKS[block] if full_size else {}
                channels = sum(
                    _add(weights, branch, f"{block}.", widths, channels) for branch in branches
                )
        weights["fc.weight"] = torch.randn(_CLASSES, channels) / channels**0.5
        weights["fc.bias"] = torch.zeros(_CLASSES)
    path = folder / MEASURES["inception"][0].path
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(weights, path)


def _add(
    weights: dict[str, Tensor], steps: Branch, prefix: str, widths: dict[str, int], channels: int
) -> int:
    for step in steps:
        if isinstance(step, Pool):
            continue
        before, channels = channels, 0
        for end in step.ends if isinstance(step, Fork) else (step,):
            width = widths.get(end.name, _TINY)
            _convolution(weights, prefix + end.name, end, before, width)
            channels += width
    return channels


def _convolution(
    weights: dict[str, Tensor], name: str, kind: Convolution, channels: int, width: int
) -> None:
    shape = (width, channels, *kind.kernel)
    size = channels * kind.kernel[0] * kind.kernel[1]
    # Of a size that keeps features as large through all layers.
    weights[f"{name}.conv.weight"] = torch.randn(shape) * (2 / size) ** 0.5
    weights[f"{name}.bn.weight"] = 1 + 0.1 * torch.randn(width)
    weights[f"{name}.bn.bias"] = 0.1 * torch.randn(width)
    weights[f"{name}.bn.running_mean"] = 0.1 * torch.randn(width)
    weights[f"{name}.bn.running_var"] = 0.5 + torch.rand(width)
    weights[f"{name}.bn.num_batches_tracked"] = torch.tensor(0)
