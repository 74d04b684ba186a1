"""The parts that the heads' networks share: norms, upsampling, residual blocks, and the output."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from schemas.head import Norm, Upsampling

NUM_GROUPS = 8


class HeadNetwork(nn.Module):
    """A network from pictures to pictures: (N, 3, H, W) in -1..1, the same shape out."""

    divisor: int
    """height and width have to be multiples of this"""
    min_side_px: int
    """and at least this"""
    residual_output: bool
    last: nn.Conv2d

    def check_sides(self, pictures: Tensor) -> None:
        """Raise a ValueError for pictures whose sides do not go through."""
        height, width = pictures.shape[-2:]
        if min(height, width) < self.min_side_px:
            raise ValueError(
                f"pictures of {width} x {height} px: this head needs sides of at least "
                f"{self.min_side_px} px; take larger pictures"
            )
        if height % self.divisor or width % self.divisor:
            raise ValueError(
                f"pictures of {width} x {height} px: this head needs sides that are multiples of "
                f"{self.divisor}; crop or pad them"
            )

    def begin(self, pictures: Tensor, detail_gain: float = 0.0) -> Tensor:
        """The pictures, with their detail if asked for, in the number format of the weights."""
        self.check_sides(pictures)
        if detail_gain:
            # First, as a smaller number format would round faint detail away.
            pictures = with_detail(at_least_float32(pictures), detail_gain)
        return pictures.to(self.last.weight.dtype)

    def finish(self, pictures: Tensor, change: Tensor) -> Tensor:
        """The output in float32: the input plus the change, or the change through tanh."""
        # bfloat16 has 8 bits of mantissa: a sum in it would round away half a level of the input.
        change = at_least_float32(change)
        return at_least_float32(pictures) + change if self.residual_output else torch.tanh(change)


def at_least_float32(values: Tensor) -> Tensor:
    """Smaller number formats as float32; float64 stays, in which two programs can be compared."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def with_detail(pictures: Tensor, gain: float) -> Tensor:
    """Pictures, and beside them what the mean of 5 x 5 pixels leaves out, times the gain.

    Through tanh, so that an edge does not drown the grain next to it.
    """
    padded = functional.pad(pictures, (2,) * 4, mode="reflect")
    detail = pictures - functional.avg_pool2d(padded, 5, stride=1)
    return torch.cat([pictures, torch.tanh(gain * detail)], 1)


class InstanceNorm(nn.Module):
    """The same function as InstanceNorm2d without scales, but it keeps channels_last on a CPU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, features: Tensor) -> Tensor:
        """Each channel of each picture with mean 0 and variance 1, in the features' own format."""
        kind = features.device.type
        if not torch.is_autocast_enabled(kind):
            return self._normalised(features)
        # Autocast on a GPU would write it in float32; its sums are in float32 in any case.
        with torch.autocast(kind, enabled=False):
            return self._normalised(features)

    def _normalised(self, features: Tensor) -> Tensor:
        wants_gradient = features.requires_grad and features.device.type == "cpu"
        if wants_gradient and features.is_contiguous(memory_format=torch.channels_last):
            # A group norm's backward is up to 20 times as slow in this layout (torch 2.13).
            pictures = [
                functional.batch_norm(one, None, None, training=True)
                for one in torch.split(features, 1)
            ]
            return torch.cat(pictures) if len(pictures) > 1 else pictures[0]
        return functional.group_norm(features, self.channels)


def norm_of(kind: Norm, channels: int) -> nn.Module:
    """The norm for this many channels."""
    if kind == "instance":
        return InstanceNorm(channels)
    if kind == "group":
        return nn.GroupNorm(math.gcd(NUM_GROUPS, channels), channels)
    return nn.Identity()


def has_bias(norm: Norm) -> bool:
    """Whether a convolution before this norm has biases; a norm takes them out or has its own."""
    return norm == "none"


def up(kind: Upsampling, channels: int, fewer: int, norm: Norm) -> nn.Module:
    """Twice the size, in one convolution."""
    bias = has_bias(norm)
    if kind == "transposed":
        return nn.ConvTranspose2d(
            channels, fewer, 3, stride=2, padding=1, output_padding=1, bias=bias
        )
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(channels, fewer, 3, padding=1, bias=bias),
    )


class Reflected(nn.Module):
    """A convolution of an odd kernel over a picture that is mirrored at its edges."""

    def __init__(self, channels: int, out: int, kernel: int, *, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, bias=bias)
        self.margin = (kernel // 2,) * 4

    def forward(self, features: Tensor) -> Tensor:
        """Features of the same height and width."""
        padded: Tensor = self.conv(functional.pad(features, self.margin, mode="reflect"))
        return padded


class ResidualBlock(nn.Module):
    """x + attention(branch(x)) or attention(x + branch(x)); a 1 x 1 where the channels change."""

    def __init__(
        self,
        branch: nn.Module,
        *,
        on_branch: nn.Module | None = None,
        on_sum: nn.Module | None = None,
        shortcut: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.branch = branch
        self.on_branch, self.on_sum = on_branch or nn.Identity(), on_sum or nn.Identity()
        self.shortcut = shortcut or nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Features of the same height and width."""
        added: Tensor = self.on_sum(self.shortcut(features) + self.on_branch(self.branch(features)))
        return added


def two_convolutions(
    convolution: Callable[[int, int], nn.Module], channels: int, out: int, norm: Norm
) -> nn.Sequential:
    """Convolution, norm, ReLU, convolution, norm."""
    return nn.Sequential(
        convolution(channels, out),
        norm_of(norm, out),
        nn.ReLU(inplace=True),
        convolution(out, out),
        norm_of(norm, out),
    )
