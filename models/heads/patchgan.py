"""The discriminator of CycleGAN and pix2pix: a score per overlapping patch, 70 x 70 by default."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from models.heads.blocks import at_least_float32, has_bias, norm_of, with_detail
from schemas.head import PatchganSettings

_WIDEST = 8


class Patchgan(nn.Module):
    """C64, C128, C256, C512, then a score: 4 x 4 kernels, leaky ReLU, no sigmoid."""

    def __init__(self, settings: PatchganSettings) -> None:
        super().__init__()
        channels = (6 if settings.conditional else 3) * (2 if settings.detail_gain else 1)
        self._detail_gain = settings.detail_gain
        self.conditional = settings.conditional
        # Each halving takes a factor of two, and two more convolutions a pixel each.
        self.min_side_px = 3 * 2**settings.num_layers
        widths = [
            settings.width * min(2**layer, _WIDEST) for layer in range(settings.num_layers + 1)
        ]
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1), _leaky()]
        for layer, (fine, coarse) in enumerate(pairwise(widths), 1):
            # The last of them keeps the size, so that patches overlap more.
            stride = 2 if layer < settings.num_layers else 1
            bias = has_bias(settings.norm)
            layers += [
                nn.Conv2d(fine, coarse, 4, stride, 1, bias=bias),
                norm_of(settings.norm, coarse),
                _leaky(),
            ]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Conv2d(widths[-1], 1, 4, 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Scores (N, 1, h, w) in float32 of pictures in -1..1, or of source and picture stacked."""
        channels, height, width = pictures.shape[-3:]
        wanted = 6 if self.conditional else 3
        if channels != wanted:
            raise ValueError(
                f"pictures of {channels} channels: this discriminator judges {wanted}; "
                + ("put the source before the picture" if self.conditional else "give it RGB")
            )
        if min(height, width) < self.min_side_px:
            raise ValueError(
                f"pictures of {width} x {height} px: the discriminator needs sides of at least "
                f"{self.min_side_px} px; take larger pictures or fewer layers"
            )
        if self._detail_gain:
            pictures = with_detail(pictures, self._detail_gain)
        scores: Tensor = self.last(self.layers(pictures))
        return at_least_float32(scores)


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)
