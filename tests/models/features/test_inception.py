"""FID's Inception on a tiny file of the published layout, and how pictures are brought to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.features.inception import SIDE_PX, Inception, load_inception
from models.features.inception_layers import TAPS
from models.features.resizing import POLICIES, ResizePolicy, bicubic_levels, resized
from models.published_files import MEASURES
from models.tensor_file import read_tensors
from models.tiny.inception import write_inception

NAME = MEASURES["inception"][0].path


@pytest.fixture(scope="module")
def network(tiny: Path) -> Inception:
    return load_inception(tiny / "inception")


def pictures(count: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = [(96, 80), (400, 310), (7, 9)]
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes[:count]]


def test_taps_are_given_for_pictures_of_any_sizes(network: Inception) -> None:
    found = network.of_levels(pictures(), "tf1")
    assert list(found) == list(TAPS)
    for one in found.values():
        assert one.dtype == np.float32
        assert len(one) == 3
        assert np.isfinite(one).all()
        assert one.std(axis=0).max() > 0.01
    # Asking for less gives the same, and goes no further than it must.
    less = network.of_levels(pictures(), "tf1", [192])
    np.testing.assert_array_equal(less[192], found[192])
    assert list(less) == [192]


def test_a_picture_does_not_depend_on_its_companions(network: Inception) -> None:
    together = network.of_levels(pictures(), "clean")[2048]
    alone = np.concatenate([network.of_levels([one], "clean")[2048] for one in pictures()])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)


def test_nothing_of_it_learns(network: Inception) -> None:
    assert not list(network.parameters())
    assert not network.training


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_keep_what_needs_no_resizing(policy: ResizePolicy) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    shown = resized(picture, policy, SIDE_PX).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(shown, picture, atol=1e-4)
    flat = resized(np.full((37, 500, 3), 77, np.uint8), policy, SIDE_PX)
    assert flat.shape == (3, SIDE_PX, SIDE_PX)
    np.testing.assert_allclose(flat.numpy(), 77, atol=1e-3)


def test_policies_differ_where_a_picture_is_made_smaller() -> None:
    stripes = np.zeros((600, 600, 3), np.uint8)
    stripes[:, ::2] = 255
    spread = {policy: float(resized(stripes, policy, SIDE_PX).std()) for policy in POLICIES}
    # TensorFlow 1's takes every second column and sees one colour, or beats; the others average.
    assert spread["tf1"] > 5 * spread["torchmetrics"]
    assert spread["tf1"] > 5 * spread["clean"]


def test_tf1_is_its_definition() -> None:
    picture = pictures(1)[0]
    shown = resized(picture, "tf1", SIDE_PX).numpy()
    for channel, row, column in ((0, 0, 0), (1, 150, 33), (2, 298, 298), (1, 7, 297)):
        down, right = row * 96 / SIDE_PX, column * 80 / SIDE_PX
        top, left = int(down), int(right)
        bottom, end = min(top + 1, 95), min(left + 1, 79)
        levels = picture[:, :, channel].astype(float)
        upper = levels[top, left] + (levels[top, end] - levels[top, left]) * (right - left)
        lower = levels[bottom, left] + (levels[bottom, end] - levels[bottom, left]) * (right - left)
        wanted = upper + (lower - upper) * (down - top)
        assert shown[channel, row, column] == pytest.approx(wanted, abs=1e-3)


def test_bicubic_levels() -> None:
    picture = pictures(1)[0]
    assert bicubic_levels(picture, 96, 80) is picture
    wanted = Image.fromarray(picture).resize((20, 30), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(bicubic_levels(picture, 30, 20), np.asarray(wanted))


def test_what_is_no_picture_of_levels_is_refused(network: Inception) -> None:
    for wrong in (np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((0, 8, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"should be uint8 of \(height, width, 3\)"):
            network.of_levels([wrong], "tf1")  # type: ignore[list-item]
    with pytest.raises(ValueError, match="policy = 'tf2': should be one of tf1"):
        resized(pictures(1)[0], "tf2", 8)  # type: ignore[arg-type]


@pytest.fixture
def broken(tiny: Path, tmp_path: Path) -> Callable[..., str]:
    """What is told when the file is changed by a function."""

    def told(change: Callable[[dict], object]) -> str:
        table = torch.load(tiny / "inception" / NAME, weights_only=True)
        torch.save(change(table), tmp_path / NAME)
        with pytest.raises(ValueError, match=r".") as caught:
            load_inception(tmp_path)
        line = str(caught.value)
        assert line.startswith(f"{tmp_path / NAME}: ")
        assert "\n" not in line
        return line

    return told


def test_a_missing_or_wrong_file_is_named_with_the_mend(
    broken: Callable[..., str], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=rf"{NAME}: is missing; get it with: relume fetch --me"):
        load_inception(tmp_path)
    layer = "Mixed_7c.branch3x3_2b"
    assert f"'{layer}.bn.running_var' is missing; get it with" in broken(
        lambda table: {key: one for key, one in table.items() if f"{layer}.bn.running_v" not in key}
    )
    assert f"'{layer}.conv.weight' has shape (4, 4, 1, 3), wanted (C, 4, 3, 1)" in broken(
        lambda table: {**table, f"{layer}.conv.weight": torch.zeros(4, 4, 1, 3)}
    )
    assert "'Conv2d_1a_3x3.conv.weight' has shape (4,)" in broken(
        lambda table: {**table, "Conv2d_1a_3x3.conv.weight": torch.zeros(4)}
    )
    assert "'Conv2d_1a_3x3.bn.bias' has shape (3,), wanted (4,)" in broken(
        lambda table: {**table, "Conv2d_1a_3x3.bn.bias": torch.zeros(3)}
    )
    assert "no plain table" in broken(lambda _: [1])


def test_the_full_size_has_the_published_widths(tmp_path: Path) -> None:
    write_inception(tmp_path, full_size=True)
    table = read_tensors(tmp_path / NAME, "")
    assert sum(one.numel() for name, one in table.items() if name.endswith("conv.weight")) == (
        21_751_136
    )
    assert tuple(table["fc.weight"].shape) == (1008, 2048)
    shown = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    with torch.inference_mode():
        found = Inception(table)(shown)
    assert {tap: tuple(one.shape) for tap, one in found.items()} == {tap: (1, tap) for tap in TAPS}
