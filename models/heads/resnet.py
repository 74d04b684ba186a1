"""CycleGAN's generator, plain or with attention; the paper's section 4.2."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from models.heads.attention import ESA_MIN_SIDE, attention_of
from models.heads.blocks import (
    HeadNetwork,
    Reflected,
    ResidualBlock,
    has_bias,
    norm_of,
    two_convolutions,
    up,
)
from schemas.head import Norm, ResnetSettings


class Resnet(HeadNetwork):
    """7 x 7, two halvings, residual blocks, two doublings, 7 x 7: c7s1-64, d128, d256, R256, ..."""

    def __init__(self, settings: ResnetSettings) -> None:
        super().__init__()
        width, norm, bias = settings.width, settings.norm, has_bias(settings.norm)
        # Channels at full size and after each halving; the blocks have as many as the last.
        *fines, deep = (width * 2**halving for halving in range(settings.halvings + 1))
        self.residual_output = settings.residual_output
        self.divisor = 2**settings.halvings
        # The blocks mirror one pixel at the smallest size, the 7 x 7 three at the full one.
        least = ESA_MIN_SIDE if settings.attention == "esa" else 2
        self.min_side_px = max(least * self.divisor, 4)
        self._detail_gain = settings.detail_gain
        seen = 6 if settings.detail_gain else 3
        self.first = nn.Sequential(Reflected(seen, width, 7, bias=bias), *_after(norm, width))
        self.down = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(fine, 2 * fine, 3, stride=2, padding=1, bias=bias),
                    *_after(norm, 2 * fine),
                )
                for fine in fines
            )
        )
        self.blocks = nn.Sequential(*(_block(settings, deep) for _ in range(settings.num_blocks)))
        bottleneck = settings.attention_at == "bottleneck"
        self.bottleneck = attention_of(settings.attention if bottleneck else "none", deep)
        self.up = nn.Sequential(
            *(
                nn.Sequential(up(settings.upsampling, 2 * fine, fine, norm), *_after(norm, fine))
                for fine in reversed(fines)
            )
        )
        self.last = nn.Conv2d(width, 3, 7)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures of the same size, float32."""
        seen = self.begin(pictures, self._detail_gain)
        features = self.up(self.bottleneck(self.blocks(self.down(self.first(seen)))))
        features = functional.pad(features, (3, 3, 3, 3), mode="reflect")
        return self.finish(pictures, self.last(features))


def _after(norm: Norm, channels: int) -> tuple[nn.Module, nn.Module]:
    return norm_of(norm, channels), nn.ReLU(inplace=True)


def _block(settings: ResnetSettings, channels: int) -> ResidualBlock:
    convolution = partial(Reflected, kernel=3, bias=has_bias(settings.norm))
    place = settings.attention_at
    return ResidualBlock(
        two_convolutions(convolution, channels, channels, settings.norm),
        on_branch=attention_of(settings.attention if place == "branch" else "none", channels),
        on_sum=attention_of(settings.attention if place == "block" else "none", channels),
    )
