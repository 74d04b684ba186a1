"""Attention blocks: RFANet's enhanced spatial attention (ESA) and CBAM."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from schemas.head import Attention

# A stride-2 convolution without padding leaves 7 of 15, and the pooling window is 7 wide.
ESA_MIN_SIDE = 15


class Esa(nn.Module):
    """RFANet's ESA: a mask in 0..1 from a quarter of the channels, seen through a wide window."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels % 4:
            raise ValueError(f"{channels} channels: ESA needs a multiple of 4; change the width")
        few = channels // 4
        self.squeeze = nn.Conv2d(channels, few, 1)
        self.shrink = nn.Conv2d(few, few, 3, stride=2)
        self.first = nn.Conv2d(few, few, 3, padding=1)
        self.second = nn.Conv2d(few, few, 3, padding=1)
        self.third = nn.Conv2d(few, few, 3, padding=1)
        self.beside = nn.Conv2d(few, few, 1)
        self.expand = nn.Conv2d(few, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """The features, each scaled by the mask."""
        height, width = features.shape[-2:]
        if min(height, width) < ESA_MIN_SIDE:
            raise ValueError(
                f"features of {width} x {height}: ESA needs sides of at least {ESA_MIN_SIDE}; "
                "take larger pictures"
            )
        squeezed = self.squeeze(features)
        wide = functional.max_pool2d(self.shrink(squeezed), kernel_size=7, stride=3)
        wide = functional.relu(self.first(wide))
        wide = functional.relu(self.second(wide))
        wide = functional.interpolate(
            self.third(wide), size=(height, width), mode="bilinear", align_corners=False
        )
        mask = torch.sigmoid(self.expand(wide + self.beside(squeezed)))
        return features * mask


class Cbam(nn.Module):
    """CBAM: first which channels, then which places. Without the BatchNorm of its spatial part.

    That one normalises a single channel over the batch, and so differs between training and use.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        # Fewer than four may all be cut off by their ReLU, and then never learn.
        few = max(4, channels // reduction)
        # 1 x 1 convolutions on pooled pictures: a perceptron of each picture's channels.
        self.fewer, self.more = nn.Conv2d(channels, few, 1), nn.Conv2d(few, channels, 1)
        self.places = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, features: Tensor) -> Tensor:
        """The features, each scaled by the masks of its channel and its place."""
        mean, most = features.mean((2, 3), keepdim=True), features.amax((2, 3), keepdim=True)
        features = features * torch.sigmoid(self._perceptron(mean) + self._perceptron(most))
        told = torch.cat([features.amax(1, keepdim=True), features.mean(1, keepdim=True)], 1)
        return features * torch.sigmoid(self.places(told))

    def _perceptron(self, pooled: Tensor) -> Tensor:
        found: Tensor = self.more(functional.relu(self.fewer(pooled)))
        return found


def attention_of(kind: Attention, channels: int) -> nn.Module:
    """The attention block for this many channels; the identity for none."""
    return {"none": lambda _: nn.Identity(), "esa": Esa, "cbam": Cbam}[kind](channels)
