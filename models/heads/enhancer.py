"""Puts pictures through a network: uint8 in, uint8 out, any size."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from models.heads.blocks import HeadNetwork
from schemas.endings import DoesNotFit
from schemas.head import Precision

Picture = NDArray[np.uint8]


class Enhancer:
    """A copy of a network on a device, in the number format and memory layout of its fast path."""

    def __init__(
        self,
        network: HeadNetwork,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        *,
        compiled: bool = False,
    ) -> None:
        self._device = torch.device(device)
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.network.to(self._device, getattr(torch, precision))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.divisor, self.min_side_px = network.divisor, network.min_side_px
        self._compiled = compiled
        if compiled:
            # Of each size anew: code for any size is slower than that for one.
            self.network.compile(dynamic=False)

    def __call__(self, pictures: Sequence[Picture], batch_size: int = 1) -> list[Picture]:
        """Each picture (H, W, 3) enhanced, at its own size; neighbours of one size go together."""
        if batch_size < 1:
            raise ValueError(f"batch_size = {batch_size}: should be at least 1")
        for number, picture in enumerate(pictures):
            self._check(picture, number)
        enhanced: list[Picture] = []
        for _, alike in groupby(pictures, key=np.shape):
            for batch in _batches(list(alike), batch_size):
                # What is compiled is of one number of pictures too.
                more = [batch[-1]] * (batch_size - len(batch)) if self._compiled else []
                enhanced += self._enhance(np.stack([*batch, *more]))[: len(batch)]
        return enhanced

    @torch.inference_mode()
    def on_device(self, levels: torch.Tensor) -> torch.Tensor:
        """Levels (N, H, W, C) of fitting sides, on the device already; the outcome stays there."""
        # As N, H, W, C in memory they are channels_last already.
        return to_levels(self.network(to_unit(levels.permute(0, 3, 1, 2)))).permute(0, 2, 3, 1)

    def _enhance(self, pictures: Picture) -> list[Picture]:
        height, width = pictures.shape[1:3]
        # Mirrored at the right and below, so that the sides become multiples.
        below, right = -height % self.divisor, -width % self.divisor
        padded = np.pad(pictures, ((0, 0), (0, below), (0, right), (0, 0)), mode="symmetric")
        try:
            made = self.on_device(torch.from_numpy(padded).to(self._device))
        except torch.OutOfMemoryError:
            raise DoesNotFit(
                f"{len(pictures)} pictures of {width} x {height} px: too large for this GPU; lower "
                "--batch-size or --tile-px"
            ) from None
        return list(made[:, :height, :width].contiguous().cpu().numpy())

    def _check(self, picture: Picture, number: int) -> None:
        told = f"picture {number}"
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(
                f"{told}: is {picture.dtype} of shape {picture.shape}; give it uint8 levels of "
                "shape (height, width, 3)"
            )
        least = self.min_side_px
        if min(picture.shape[:2]) < least:
            height, width = picture.shape[:2]
            raise ValueError(
                f"{told}: is {width} x {height} px; this head needs sides of at least {least} px"
            )


def to_unit(levels: torch.Tensor) -> torch.Tensor:
    """Levels 0..255 as float32 in -1..1."""
    return levels.float().div_(127.5).sub_(1)


def to_levels(output: torch.Tensor) -> torch.Tensor:
    """Values of -1..1 as the nearest levels; what lies outside is cut off."""
    return output.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def _batches(pictures: list[Picture], size: int) -> Iterator[list[Picture]]:
    for begin in range(0, len(pictures), size):
        yield pictures[begin : begin + size]
