"""The losses against sums written with numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from models.heads.losses import (
    CycleLoss,
    discriminator_loss,
    gradient_difference,
    l1,
    paired_loss,
    scored_made,
    scored_real,
)

X, Y, Z, W = (
    torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    for seed in range(4)
)


def described_grad(one: Tensor, other: Tensor) -> float:
    a, b = one.double().numpy(), other.double().numpy()
    right = np.abs((a[..., 1:] - a[..., :-1]) - (b[..., 1:] - b[..., :-1])).mean()
    down = np.abs((a[..., 1:, :] - a[..., :-1, :]) - (b[..., 1:, :] - b[..., :-1, :])).mean()
    return float((right + down) / 2)


def test_grad_compares_steps_and_not_levels() -> None:
    assert float(gradient_difference(X, Z)) == pytest.approx(described_grad(X, Z), abs=1e-6)
    assert float(gradient_difference(X, X + 0.3)) == pytest.approx(0, abs=1e-6)
    blurred = torch.nn.functional.avg_pool2d(X, 3, 1, 1)
    assert gradient_difference(X, blurred) > 0.1


def test_grad_has_a_gradient_where_there_is_no_difference() -> None:
    z = X.clone().requires_grad_()
    gradient_difference(X, z).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_equation_1() -> None:
    def perceptual(output: Tensor, target: Tensor) -> Tensor:
        assert output is Z
        assert target is Y
        return torch.tensor([0.25, 0.75])

    grad = paired_loss(X, Y, Z, perceptual)
    assert sum(map(float, grad)) == pytest.approx(described_grad(X, Z) + 0.5, abs=1e-6)
    other = paired_loss(X, Y, Z, perceptual, "l1")
    assert sum(map(float, other)) == pytest.approx(float((X - Z).abs().mean()) + 0.5, abs=1e-6)


def test_equations_2_and_3_are_sums_of_both_ways() -> None:
    """X goes and comes back as Y, Z as W."""
    ways = [
        CycleLoss(torch.tensor(0.5), cycle=l1(Y, X), identity=None),
        CycleLoss(torch.tensor(0.25), cycle=l1(W, Z), identity=None),
    ]
    described = np.abs((Y - X).numpy()).mean() + np.abs((W - Z).numpy()).mean()
    assert sum(float(way.cycle) for way in ways) == pytest.approx(described, abs=1e-6)
    total = sum(float(way.total(2.0)) for way in ways)
    assert total == pytest.approx(0.75 + 2 * described, abs=1e-6)


def test_identity_has_a_weight_of_its_own() -> None:
    without = CycleLoss(torch.tensor(0.5), cycle=l1(Y, X), identity=None)
    assert float(without.total(2.0, 7.0)) == float(without.total(2.0))
    within = without._replace(identity=l1(X, Z))
    assert float(within.total(2.0)) == pytest.approx(float(without.total(2.0)))
    added = float(within.total(2.0, 0.5) - without.total(2.0))
    assert added == pytest.approx(0.5 * float((X - Z).abs().mean()), abs=1e-6)


def test_least_squares() -> None:
    real, made = torch.tensor([1.0, 0.5]), torch.tensor([0.0, 2.0])
    assert float(scored_real(real)) == pytest.approx(0.125)
    assert float(scored_made(made)) == pytest.approx(2.0)
    assert float(discriminator_loss(real, made)) == pytest.approx(0.5 * 2.125)


def test_sums_are_in_float32() -> None:
    for loss in (
        l1(X.bfloat16(), Z),
        gradient_difference(X, Z.bfloat16()),
        scored_real(X.bfloat16()),
    ):
        assert loss.dtype == torch.float32
