"""FID's Inception-v3 with the weights that torch-fidelity publishes; free of torchvision.

Widths follow the shapes in the file, so that a tiny file of the same layout goes through the same
code. It gives features; distances are metrics' part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.features.inception_layers import (
    BLOCKS,
    STEM,
    TAPS,
    Branch,
    Convolution,
    Fork,
    Pool,
    Step,
    Tap,
)
from models.features.resizing import Picture, ResizePolicy, resized
from models.published_files import MEASURES
from models.tensor_file import read_tensors

SIDE_PX = 299
_EPS = 1e-3
_MEND = "get it with: relume fetch --metrics"
_NORM = ("weight", "bias", "running_mean", "running_var")


class Inception(nn.Module):
    """Pictures to features at up to four taps; its weights are fixed."""

    def __init__(self, published: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        channels = 3
        for steps in STEM.values():
            channels = self._add_branch(steps, "", channels, published)
        for blocks in BLOCKS.values():
            for block, branches in blocks.items():
                channels = sum(
                    self._add_branch(branch, f"{block}.", channels, published)
                    for branch in branches
                )
        self.requires_grad_(False).eval()

    def forward(self, levels: Tensor, taps: Sequence[Tap] = TAPS) -> dict[Tap, Tensor]:
        """Features (N, D) at each tap of levels (N, 3, 299, 299) in 0..255; D is the tap."""
        features, found = (levels - 128) / 128, {}
        for tap in TAPS:
            if tap in STEM:
                features = self._branch(STEM[tap], "", features)
            else:
                for block, branches in BLOCKS[tap].items():
                    parts = [self._branch(one, f"{block}.", features) for one in branches]
                    features = torch.cat(parts, 1)
            if tap in taps:
                found[tap] = functional.adaptive_avg_pool2d(features, 1).flatten(1)
            if len(found) == len(taps):
                break
        return found

    def of_levels(
        self, pictures: Sequence[Picture], policy: ResizePolicy, taps: Sequence[Tap] = TAPS
    ) -> dict[Tap, NDArray[np.float32]]:
        """The same of pictures (height, width, 3) of levels and of any sizes."""
        return self.of_prepared([resized(one, policy, SIDE_PX) for one in pictures], taps)

    @torch.inference_mode()
    def of_prepared(
        self, levels: Sequence[Tensor], taps: Sequence[Tap] = TAPS
    ) -> dict[Tap, NDArray[np.float32]]:
        """The same of pictures (3, 299, 299) that are resized already."""
        shown = torch.stack(list(levels)).to(next(self.buffers()).device)
        return {tap: one.cpu().numpy() for tap, one in self(shown, taps).items()}

    def _branch(self, steps: Branch, prefix: str, features: Tensor) -> Tensor:
        for step in steps:
            features = self._step(step, prefix, features)
        return features

    def _step(self, step: Step, prefix: str, features: Tensor) -> Tensor:
        if isinstance(step, Convolution):
            made: Tensor = self.layers[_key(prefix, step)](features)
            return made
        if isinstance(step, Fork):
            return torch.cat([self._step(end, prefix, features) for end in step.ends], 1)
        padding = 1 if step.stride == 1 else 0
        if step.kind == "largest":
            return functional.max_pool2d(features, 3, step.stride, padding)
        return functional.avg_pool2d(features, 3, step.stride, padding, count_include_pad=False)

    def _add_branch(
        self, steps: Branch, prefix: str, channels: int, published: Mapping[str, Tensor]
    ) -> int:
        """Add a branch's convolutions; the channels it ends with."""
        for step in steps:
            if isinstance(step, Pool):
                continue
            ends = step.ends if isinstance(step, Fork) else (step,)
            before, channels = channels, 0
            for end in ends:
                layer = _Layer(end, prefix + end.name, before, published)
                self.layers[_key(prefix, end)] = layer
                channels += layer.channels
        return channels


class _Layer(nn.Module):
    """A convolution, a batch norm and a ReLU, with the published numbers."""

    def __init__(
        self, kind: Convolution, name: str, channels: int, published: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        weight = _tensor(published, f"{name}.conv.weight", None)
        self.channels = len(weight)
        if tuple(weight.shape[1:]) != (channels, *kind.kernel):
            raise ValueError(
                f"'{name}.conv.weight' has shape {tuple(weight.shape)}, "
                f"wanted (C, {channels}, {kind.kernel[0]}, {kind.kernel[1]})"
            )
        self.register_buffer("kernel", weight)
        for part in _NORM:
            told = _tensor(published, f"{name}.bn.{part}", (self.channels,))
            self.register_buffer(part, told)
        self._stride = kind.stride
        self._padding = tuple(one // 2 if kind.padded else 0 for one in kind.kernel)

    def forward(self, features: Tensor) -> Tensor:
        features = functional.conv2d(
            features, self.get_buffer("kernel"), None, self._stride, self._padding
        )
        weight, bias, mean, variance = (self.get_buffer(part) for part in _NORM)
        normed = functional.batch_norm(features, mean, variance, weight, bias, eps=_EPS)
        return normed.relu_()


def weight_file(folder: Path) -> Path:
    """The published file in this folder; ValueError where it is missing."""
    path = folder / MEASURES["inception"][0].path
    if not path.is_file():
        raise ValueError(f"{path}: is missing; {_MEND}")
    return path


def load_inception(folder: Path) -> Inception:
    """The network with the published weights in this folder."""
    path = weight_file(folder)
    published = read_tensors(path, _MEND)
    try:
        return Inception(published)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {_MEND}") from None


def _key(prefix: str, convolution: Convolution) -> str:
    # A name of a module has no dots.
    return (prefix + convolution.name).replace(".", "/")


def _tensor(published: Mapping[str, Tensor], name: str, shape: tuple[int, ...] | None) -> Tensor:
    if name not in published:
        raise ValueError(f"{name!r} is missing")
    found = published[name].float()
    if (found.ndim != 4) if shape is None else (tuple(found.shape) != shape):
        wanted = "(C, C, height, width)" if shape is None else str(shape)
        raise ValueError(f"{name!r} has shape {tuple(found.shape)}, wanted {wanted}")
    return found
