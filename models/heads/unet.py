"""The pairwise U-Net of the paper's section 4.1: six sizes, residual blocks, CBAM."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.heads.attention import attention_of
from models.heads.blocks import HeadNetwork, ResidualBlock, has_bias, two_convolutions, up
from schemas.head import UnetSettings

# Wider than this times the first width it never gets.
_WIDEST = 8


class Unet(HeadNetwork):
    """An encoder and a decoder that also sees the encoder's features of its own size."""

    def __init__(self, settings: UnetSettings) -> None:
        super().__init__()
        self.residual_output = settings.residual_output
        self.divisor = 2 ** (settings.levels - 1)
        # One place alone has no spread that a norm could divide by.
        self.min_side_px = 2 * self.divisor
        widths = [settings.width * min(2**level, _WIDEST) for level in range(settings.levels)]
        steps = list(pairwise(widths))
        self.first = nn.Conv2d(3, widths[0], 3, padding=1)
        self.encode = nn.ModuleList(_blocks(settings, width, width) for width in widths)
        self.down = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in steps
        )
        self.up = nn.ModuleList(
            up(settings.upsampling, coarse, fine, "none") for fine, coarse in steps
        )
        self.decode = nn.ModuleList(_blocks(settings, 2 * fine, fine) for fine, _ in steps)
        self.last = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures of the same size, float32."""
        features, kept = self.first(self.begin(pictures)), []
        for encode, down in zip(self.encode, self.down, strict=False):
            features = encode(features)
            kept.append(features)
            features = down(features)
        features = self.encode[-1](features)
        for decode, up_one, skip in zip(
            reversed(self.decode), reversed(self.up), reversed(kept), strict=True
        ):
            features = decode(torch.cat([skip, up_one(features)], 1))
        return self.finish(pictures, self.last(features))


class _Rectified(nn.Sequential):
    """A residual block and a ReLU."""

    def forward(self, features: Tensor) -> Tensor:
        block: Tensor = super().forward(features)  # type: ignore[no-untyped-call]
        return functional.relu(block)


def _blocks(settings: UnetSettings, channels: int, out: int) -> nn.Sequential:
    convolution = partial(nn.Conv2d, kernel_size=3, padding=1, bias=has_bias(settings.norm))
    return nn.Sequential(
        *(
            _Rectified(
                ResidualBlock(
                    two_convolutions(convolution, inside, out, settings.norm),
                    on_branch=attention_of(settings.attention, out),
                    shortcut=None if inside == out else nn.Conv2d(inside, out, 1),
                )
            )
            for inside in [channels, *[out] * (settings.blocks_per_level - 1)]
        )
    )
