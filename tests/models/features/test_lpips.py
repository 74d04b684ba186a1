"""LPIPS against its description, on tiny files in the published layout."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.features.lpips import FILES, Net, load_lpips
from models.tiny.lpips import write_lpips

NETS: tuple[Net, ...] = ("vgg", "alex")
# (layer of torchvision's `features`, arguments of the convolution, pooling before it, tap after it)
DESCRIBED = {
    "vgg": [
        (number, {"padding": 1}, (2, 2) if number in (5, 10, 17, 24) else None, number in taps)
        for taps in [(2, 7, 14, 21, 28)]
        for number in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    ],
    "alex": [
        (0, {"stride": 4, "padding": 2}, None, True),
        (3, {"padding": 2}, (3, 2), True),
        (6, {"padding": 1}, (3, 2), True),
        (8, {"padding": 1}, None, True),
        (10, {"padding": 1}, None, True),
    ],
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_lpips(folder)
    return folder


def pictures(seed: int, height: int = 64, width: int = 64) -> Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.rand(2, 3, height, width, generator=chance) * 2 - 1


def described(net: Net, folder: Path, one: Tensor, other: Tensor) -> np.ndarray:
    """Zhang et al. 2018, Eq. 1, with lpips' scaling and its eps beside the root, in float64."""
    backbone, linear = (torch.load(folder / file.path, weights_only=True) for file in FILES[net])
    shift = torch.tensor([-0.030, -0.088, -0.188]).double()[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450]).double()[:, None, None]

    def taps(x: Tensor) -> list[np.ndarray]:
        x = (x.double() - shift) / scale
        found = []
        for number, how, pool, tap in DESCRIBED[net]:
            if pool:
                x = F.max_pool2d(x, *pool)
            kernel, bias = (
                backbone[f"features.{number}.{kind}"].double() for kind in ("weight", "bias")
            )
            x = F.conv2d(x, kernel, bias, **how).clamp(min=0)
            if tap:
                found.append(x.numpy())
        return found

    total = np.zeros(len(one))
    for number, (a, b) in enumerate(zip(taps(one), taps(other), strict=True)):
        a, b = (x / (np.sqrt((x**2).sum(1, keepdims=True)) + 1e-10) for x in (a, b))
        importance = linear[f"lin{number}.model.1.weight"].double().numpy()
        total += ((a - b) ** 2 * importance).sum(1).mean((1, 2))
    return total


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("size", [(64, 64), (49, 83)], ids=str)
def test_it_is_the_described_distance(weights: Path, net: Net, size: tuple[int, int]) -> None:
    one, other = pictures(0, *size), pictures(1, *size)
    found = load_lpips(net, weights)(one, other)
    wanted = described(net, weights, one, other)
    assert wanted.min() > 0.05
    np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("net", NETS)
def test_it_is_a_distance(weights: Path, net: Net) -> None:
    lpips, one, other = load_lpips(net, weights), pictures(0), pictures(1)
    assert torch.equal(lpips(one, one), torch.zeros(2))
    torch.testing.assert_close(lpips(one, other), lpips(other, one))
    assert (lpips(one, one + 0.01 * other) < lpips(one, one + 0.1 * other)).all()


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("level", [-1.0, 0.0, 1.0])
def test_flat_pictures_give_finite_gradients(weights: Path, net: Net, level: float) -> None:
    lpips = load_lpips(net, weights)
    output = torch.full((1, 3, 64, 64), level, requires_grad=True)
    target = pictures(1)[:1]
    for other in (target, output.detach().clone()):
        output.grad = None
        lpips(output, other).sum().backward()
        assert output.grad is not None
        assert output.grad.isfinite().all()


def test_all_features_zero_give_finite_gradients(weights: Path, tmp_path: Path) -> None:
    backbone, linear = FILES["alex"]
    dead = torch.load(weights / backbone.path, weights_only=True)
    dead = {name: -one.abs() if name.endswith("bias") else 0 * one for name, one in dead.items()}
    torch.save(dead, tmp_path / backbone.path)
    (tmp_path / linear.path).parent.mkdir(parents=True)
    (tmp_path / linear.path).write_bytes((weights / linear.path).read_bytes())
    output = pictures(0).requires_grad_()
    load_lpips("alex", tmp_path)(output, pictures(1)).sum().backward()
    assert output.grad is not None
    assert torch.equal(output.grad, torch.zeros_like(output))


def test_gradients_go_where_they_are_wanted(weights: Path) -> None:
    lpips = load_lpips("vgg", weights)
    output, target = pictures(0).requires_grad_(), pictures(1).requires_grad_()
    lpips(output, target).sum().backward()
    assert output.grad is not None
    assert target.grad is not None
    assert output.grad.abs().max() > 0
    assert target.grad.abs().max() > 0
    assert not [name for name, one in lpips.named_parameters() if one.requires_grad]
    with torch.no_grad():
        assert not lpips(output, target).requires_grad


def test_bfloat16_is_near(weights: Path) -> None:
    lpips, one, other = load_lpips("vgg", weights), pictures(0), pictures(1)
    wanted = lpips(one, other)
    with torch.autocast("cpu", torch.bfloat16):
        found = lpips(one, other)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=0.02, atol=0)


def test_sizes_are_checked(weights: Path) -> None:
    for net, least in (("vgg", 16), ("alex", 31)):
        lpips = load_lpips(net, weights)
        one = pictures(0, least, least)
        assert lpips(one, -one).shape == (2,)
        small = pictures(0, least, least - 1)
        with pytest.raises(ValueError, match=f"{least - 1} x {least} px: .* at least {least} px"):
            lpips(small, small)
        with pytest.raises(ValueError, match="pictures of one size"):
            lpips(one, small)


@pytest.fixture
def broken(weights: Path, tmp_path: Path) -> Callable[..., str]:
    """What is told when one of VGG's two files is changed by a function."""

    def told(which: int, change: Callable[[dict], object]) -> str:
        for number, file in enumerate(FILES["vgg"]):
            path = tmp_path / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            table = torch.load(weights / file.path, weights_only=True)
            torch.save(change(table) if number == which else table, path)
        with pytest.raises(ValueError, match=r".") as caught:
            load_lpips("vgg", tmp_path)
        line = str(caught.value)
        assert line.startswith(f"{tmp_path / FILES['vgg'][which].path}: ")
        assert "\n" not in line
        return line

    return told


def test_missing_files_are_named(weights: Path, tmp_path: Path) -> None:
    backbone, linear = FILES["vgg"]
    with pytest.raises(
        ValueError,
        match=rf"vgg16-397923af.pth: is missing; .* fetch --lpips vgg --lpips-weights {tmp_path}",
    ):
        load_lpips("vgg", tmp_path)
    (tmp_path / backbone.path).write_bytes((weights / backbone.path).read_bytes())
    with pytest.raises(ValueError, match=r"lpips/v0.1/vgg.pth: is missing; .*relume fetch"):
        load_lpips("vgg", tmp_path)
    assert linear.url.endswith("/lpips/weights/v0.1/vgg.pth")


def test_wrong_files_are_named(broken: Callable[..., str], tmp_path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "trap"),)

    assert "refused" in broken(0, lambda table: {**table, "x": Runs()})
    assert "refused" in broken(1, lambda table: {**table, "x": Runs()})
    assert not (tmp_path / "trap").exists()
    assert "'features.28.bias' is missing" in broken(
        0, lambda table: {name: one for name, one in table.items() if name != "features.28.bias"}
    )
    assert "'features.5' has shapes" in broken(
        0, lambda table: {**table, "features.5.weight": torch.zeros(8, 4, 3, 3)}
    )
    assert "'lin2.model.1.weight' is missing" in broken(
        1, lambda table: {name: one for name, one in table.items() if "lin2" not in name}
    )
    assert "'lin0.model.1.weight' has shape" in broken(
        1, lambda table: {**table, "lin0.model.1.weight": torch.zeros(1, 64, 1, 1)}
    )
    assert "no plain table" in broken(0, lambda _: [1])
