"""The losses of the paper's section 4, and pix2pix's. All are means in float32.

Parts are returned beside their sum: the paper compares sums in which lambda differs, so a sum alone
says little.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor
from torch.nn import functional

from models.heads.blocks import at_least_float32

Structure = Literal["grad", "l1"]


class PairedLoss(NamedTuple):
    """Eq. 1: GRAD(x, z) + LPIPS(y, z), with L1 as the alternative to GRAD."""

    structure: Tensor
    perceptual: Tensor


class CycleLoss(NamedTuple):
    """What the generators minimise on the way from one side to the other and back.

    Eq. 3 is the sum of both ways', as Eq. 2 is of both `cycle`. It has no identity loss.
    """

    gan: Tensor
    cycle: Tensor
    identity: Tensor | None

    def total(self, lambda_cycle: float, lambda_identity: float = 0.0) -> Tensor:
        """Their weighted sum; the identity loss has a weight of its own, 0 as in Eq. 3."""
        total = self.gan + lambda_cycle * self.cycle
        return total if self.identity is None else total + lambda_identity * self.identity


def l1(one: Tensor, other: Tensor) -> Tensor:
    """The mean absolute difference."""
    return functional.l1_loss(at_least_float32(one), at_least_float32(other))


def gradient_difference(one: Tensor, other: Tensor) -> Tensor:
    """GRAD: mean absolute difference of the steps to the next pixel, to the right and down."""
    change = at_least_float32(one) - at_least_float32(other)
    right, down = change.diff(dim=-1), change.diff(dim=-2)
    return (right.abs().mean() + down.abs().mean()) / 2


def paired_loss(
    source: Tensor,
    target: Tensor,
    output: Tensor,
    perceptual: Callable[[Tensor, Tensor], Tensor],
    structure: Structure = "grad",
) -> PairedLoss:
    """Eq. 1 of a batch: the structure of the source is kept, the look of the target is sought."""
    measure = gradient_difference if structure == "grad" else l1
    return PairedLoss(measure(source, output), perceptual(output, target).mean())


def scored_real(scores: Tensor) -> Tensor:
    """Least squares: how far scores are from 1."""
    return (at_least_float32(scores) - 1).square().mean()


def scored_made(scores: Tensor) -> Tensor:
    """Least squares: how far scores are from 0."""
    return at_least_float32(scores).square().mean()


def discriminator_loss(on_real: Tensor, on_made: Tensor) -> Tensor:
    """What a discriminator minimises; halved, so that it learns at half the generators' pace."""
    return 0.5 * (scored_real(on_real) + scored_made(on_made))
