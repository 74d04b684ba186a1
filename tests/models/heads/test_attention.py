"""ESA and CBAM against their descriptions, written with plain functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.heads.attention import Cbam, Esa


def features(channels: int, height: int, width: int) -> Tensor:
    chance = torch.Generator().manual_seed(9)
    return torch.randn(2, channels, height, width, generator=chance)


def described_esa(w: dict[str, Tensor], x: Tensor) -> Tensor:
    """RFANet, section 3.3: 1 x 1, stride 2, pooling 7 / 3, three convolutions, back up, sigmoid."""

    def conv(name: str, given: Tensor, **how: int) -> Tensor:
        return F.conv2d(given, w[f"{name}.weight"], w[f"{name}.bias"], **how)

    few = conv("squeeze", x)
    small = conv("shrink", few, stride=2)
    windows = small.unfold(2, 7, 3).unfold(3, 7, 3)
    small = windows.flatten(-2).max(-1).values
    small = conv("first", small, padding=1).clamp(min=0)
    small = conv("second", small, padding=1).clamp(min=0)
    small = conv("third", small, padding=1)
    large = bilinear(small, x.shape[2], x.shape[3])
    mask = 1 / (1 + (-conv("expand", large + conv("beside", few))).exp())
    return x * mask


def bilinear(x: Tensor, height: int, width: int) -> Tensor:
    """Half-pixel centres, edges repeated; one axis after the other."""
    return x.new_tensor(stretched(stretched(x.numpy(), height, 2), width, 3))


def stretched(x: np.ndarray, size: int, axis: int) -> np.ndarray:
    old = x.shape[axis]
    at = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, old - 1)
    share = (at - low).reshape([-1 if one == axis else 1 for one in range(4)])
    return x.take(low, axis) * (1 - share) + x.take(high, axis) * share


@pytest.mark.parametrize("size", [(15, 15), (16, 23), (31, 64), (128, 37)], ids=str)
def test_esa_is_the_described_one(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    esa = Esa(32).requires_grad_(False)
    x = features(32, *size)
    torch.testing.assert_close(esa(x), described_esa(esa.state_dict(), x), rtol=0, atol=1e-5)


def test_esa_has_the_published_number_of_parameters() -> None:
    assert sum(one.numel() for one in Esa(256).parameters()) == 184_960


def test_esa_says_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="features of 20 x 14: ESA needs sides of at least 15"):
        Esa(8)(features(8, 14, 20))
    with pytest.raises(ValueError, match="6 channels: ESA needs a multiple of 4"):
        Esa(6)


def described_cbam(w: dict[str, Tensor], x: Tensor) -> Tensor:
    """CBAM, sections 3.1 and 3.2, as matrices over channels and a window over places."""

    def perceptron(pooled: Tensor) -> Tensor:
        hidden = (pooled @ w["fewer.weight"][:, :, 0, 0].T + w["fewer.bias"]).clamp(min=0)
        return hidden @ w["more.weight"][:, :, 0, 0].T + w["more.bias"]

    flat = x.flatten(2)
    channels = perceptron(flat.mean(-1)) + perceptron(flat.max(-1).values)
    x = x * (1 / (1 + (-channels).exp()))[:, :, None, None]
    told = torch.stack([x.max(1).values, x.mean(1)], 1)
    places = F.conv2d(F.pad(told, (3, 3, 3, 3)), w["places.weight"], w["places.bias"])
    return x * (1 / (1 + (-places).exp()))


@pytest.mark.parametrize("channels", [8, 32])
def test_cbam_is_the_described_one(channels: int) -> None:
    torch.manual_seed(0)
    cbam = Cbam(channels).requires_grad_(False)
    x = features(channels, 9, 13)
    torch.testing.assert_close(cbam(x), described_cbam(cbam.state_dict(), x), rtol=0, atol=1e-5)


def test_cbam_is_the_same_in_training_and_in_use() -> None:
    cbam, x = Cbam(16), features(16, 8, 8)
    assert torch.equal(cbam.train()(x[:1]), cbam.eval()(x[:1]))
