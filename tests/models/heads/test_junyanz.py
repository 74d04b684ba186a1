"""The reference's weights: the same function, and nothing else gets in."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.heads.junyanz import load_discriminator, load_generator

Published = dict[str, Tensor]
Make = Callable[..., Published]


def normalised(x: Tensor) -> Tensor:
    """Each channel of each picture by its own mean and biased variance."""
    centred = x - x.mean(dim=(2, 3), keepdim=True)
    return centred / (centred.pow(2).mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()


def mirrored(x: Tensor, by: int) -> Tensor:
    rows = [
        abs(i) if i < x.shape[2] else 2 * x.shape[2] - 2 - i for i in range(-by, x.shape[2] + by)
    ]
    columns = [
        abs(i) if i < x.shape[3] else 2 * x.shape[3] - 2 - i for i in range(-by, x.shape[3] + by)
    ]
    return x[:, :, rows][:, :, :, columns]


def described_generator(w: Published, x: Tensor, num_blocks: int, second: int = 5) -> Tensor:
    """c7s1-64, d128, d256, R256 ..., u128, u64, c7s1-3 of the CycleGAN paper's appendix."""

    def weights(name: str) -> tuple[Tensor, Tensor]:
        return w[f"model.{name}.weight"], w[f"model.{name}.bias"]

    x = normalised(F.conv2d(mirrored(x, 3), *weights("1"))).clamp(min=0)
    for number in (4, 7):
        x = normalised(F.conv2d(x, *weights(f"{number}"), stride=2, padding=1)).clamp(min=0)
    for number in range(10, 10 + num_blocks):
        inside = F.conv2d(mirrored(x, 1), *weights(f"{number}.conv_block.1"))
        inside = normalised(inside).clamp(min=0)
        inside = F.conv2d(mirrored(inside, 1), *weights(f"{number}.conv_block.{second}"))
        x = x + normalised(inside)
    for number in (10 + num_blocks, 13 + num_blocks):
        kernel, bias = weights(f"{number}")
        x = F.conv_transpose2d(x, kernel, bias, stride=2, padding=1, output_padding=1)
        x = normalised(x).clamp(min=0)
    return torch.tanh(F.conv2d(mirrored(x, 3), *weights(f"{17 + num_blocks}")))


def described_discriminator(w: Published, x: Tensor) -> Tensor:
    for number, stride in ((0, 2), (2, 2), (5, 2), (8, 1), (11, 1)):
        kernel, bias = w[f"model.{number}.weight"], w[f"model.{number}.bias"]
        x = F.conv2d(x, kernel, bias, stride=stride, padding=1)
        if number in (2, 5, 8):
            x = normalised(x)
        if number < 11:
            x = torch.where(x > 0, x, 0.2 * x)
    return x


def saved(published: object, path: Path, **how: bool) -> Path:
    torch.save(published, path, **how)
    return path


def pictures(size_px: int, count: int = 2, channels: int = 3) -> Tensor:
    chance = torch.Generator().manual_seed(5)
    return torch.rand(count, channels, size_px, size_px, generator=chance) * 2 - 1


@pytest.mark.parametrize("num_blocks", [6, 9])
def test_the_published_generator_is_the_described_one(
    published_generator: Make, tmp_path: Path, num_blocks: int
) -> None:
    published = published_generator(width=64, num_blocks=num_blocks)
    network = load_generator(saved(published, tmp_path / "latest_net_G.pth"))
    x = pictures(64, count=1)
    with torch.no_grad():
        wanted = described_generator(published, x, num_blocks)
        assert wanted.std() > 0.1
        torch.testing.assert_close(network(x), wanted, rtol=0, atol=1e-5)
    if num_blocks == 9:
        assert sum(one.numel() for one in published.values()) == 11_378_179


@pytest.mark.parametrize(
    "how",
    [
        {"prefix": "module."},
        {"statistics": True},
        {"prefix": "module.", "statistics": True},
        {"second": 6},  # trained with dropout, which counts as a layer
        {"num_blocks": 0},
        {"num_blocks": 12},  # ten blocks and more sort wrongly as words
    ],
    ids=str,
)
def test_every_published_form(published_generator: Make, tmp_path: Path, how: dict) -> None:
    published = published_generator(**how)
    network = load_generator(saved(published, tmp_path / "latest_net_G.pth"))
    plain = {name.removeprefix("module."): one for name, one in published.items()}
    x = pictures(32)
    with torch.no_grad():
        wanted = described_generator(plain, x, how.get("num_blocks", 2), how.get("second", 5))
        torch.testing.assert_close(network(x), wanted, rtol=0, atol=1e-5)


def test_the_old_file_format_and_channels_last(published_generator: Make, tmp_path: Path) -> None:
    published = published_generator()
    path = saved(published, tmp_path / "G.pth", _use_new_zipfile_serialization=False)
    network = load_generator(path).to(memory_format=torch.channels_last)
    x = pictures(32).to(memory_format=torch.channels_last)
    with torch.no_grad():
        wanted = described_generator(published, x, 2)
        torch.testing.assert_close(network(x), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [3, 6])
def test_the_published_discriminator_is_the_described_one(
    published_discriminator: Make, tmp_path: Path, channels: int
) -> None:
    published = published_discriminator(64, channels)
    network = load_discriminator(saved(published, tmp_path / "latest_net_D.pth"))
    x = pictures(96, channels=channels)
    with torch.no_grad():
        wanted = described_discriminator(published, x)
        torch.testing.assert_close(network(x), wanted, rtol=0, atol=1e-5)
    if channels == 3:
        assert sum(one.numel() for one in published.values()) == 2_764_737


class Runs:
    """Its pickle makes a folder when it is loaded without care."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def refusal(path: Path, load: Callable[[Path], object] = load_generator) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        load(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ")
    assert "\n" not in told
    return told


def test_a_file_that_runs_code_is_refused(published_generator: Make, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    bad = {**published_generator(), "x": Runs(trap)}
    old = saved(bad, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for path in (saved(bad, tmp_path / "G.pth"), old):
        assert "refused" in refusal(path)
    plain = tmp_path / "plain.pth"
    plain.write_bytes(pickle.dumps(Runs(trap)))
    refusal(plain)
    assert not trap.exists(), "the file's code was run"


def test_files_that_are_no_generator(
    published_generator: Make, published_discriminator: Make, tmp_path: Path
) -> None:
    path = tmp_path / "G.pth"
    assert "is missing" in refusal(path)
    good = published_generator()

    def told(table: object) -> str:
        return refusal(saved(table, path))

    assert "no plain table of tensors" in told([1, 2])
    assert "no plain table of tensors" in told({"state_dict": good})
    assert "a generator has (8, 3, 7, 7)" in told(published_discriminator())
    assert "convolutions: a generator has" in told(
        {name: one for name, one in good.items() if not name.startswith("model.19")}
    )
    assert "norm with learned scales" in told({**good, "model.2.weight": torch.ones(8)})
    assert "no name of a layer" in told({**good, "extra": torch.ones(1)})
    assert "no weight beside it" in told({**good, "model.99.bias": torch.ones(8)})
    assert "has no bias" in told(
        {name: one for name, one in good.items() if name != "model.19.bias"}
    )
    assert "too few" in told({})
    path.write_bytes(saved(good, path).read_bytes()[:2000])
    assert refusal(path)
    assert "cannot be read" in refusal(tmp_path)


def test_files_that_are_no_discriminator(
    published_generator: Make, published_discriminator: Make, tmp_path: Path
) -> None:
    path = tmp_path / "D.pth"
    saved(published_generator(), path)
    assert "a discriminator has" in refusal(path, load_discriminator)
    good = published_discriminator()
    saved({name: one for name, one in good.items() if name != "model.0.bias"}, path)
    assert "has no bias" in refusal(path, load_discriminator)
