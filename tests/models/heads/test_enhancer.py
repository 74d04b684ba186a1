"""Pictures through a head: any size, nearest levels, the same alone and in company."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.heads.blocks import HeadNetwork
from models.heads.build import build_network
from models.heads.enhancer import Enhancer, to_levels, to_unit
from schemas.endings import CannotGoOn
from schemas.head import ResnetSettings, UnetSettings

IDENTITY = {
    kind.kind: build_network(kind, 0)
    for kind in (
        ResnetSettings(width=4, num_blocks=1, residual_output=True),
        UnetSettings(width=8, levels=3, residual_output=True),
    )
}


def drawn(*sizes: tuple[int, int]) -> list[np.ndarray]:
    chance = np.random.default_rng(0)
    return [chance.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def test_every_level_comes_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_levels(to_unit(levels)), levels)
    assert to_unit(levels)[0] == -1
    assert to_unit(levels)[-1] == 1


def test_levels_are_rounded_and_cut_off() -> None:
    between = (torch.tensor([9.4, 9.6, -3.0, 300.0]) / 127.5) - 1
    assert to_levels(between).tolist() == [9, 10, 0, 255]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", IDENTITY)
def test_an_untrained_residual_head_changes_nothing(kind: str, precision: str) -> None:
    enhance = Enhancer(IDENTITY[kind], precision=precision)
    given_in = drawn(
        (64, 64), (64, 64), (37, 50), (33, 131), (8, 8) if kind == "resnet" else (8, 9)
    )
    for one, other in zip(enhance(given_in, batch_size=2), given_in, strict=True):
        assert one.dtype == np.uint8
        assert np.array_equal(one, other)


class Shifts(HeadNetwork):
    """Ten levels brighter, and it remembers what sizes it saw."""

    divisor, min_side_px, residual_output = 4, 2, True

    def __init__(self) -> None:
        super().__init__()
        self.last = torch.nn.Conv2d(1, 1, 1)
        self.seen: list[tuple[int, ...]] = []

    def forward(self, pictures: Tensor) -> Tensor:
        self.seen.append(tuple(pictures.shape))
        assert pictures.is_contiguous(memory_format=torch.channels_last)
        return pictures + 10 / 127.5


@settings(max_examples=40)
@given(
    sizes=st.lists(st.tuples(st.integers(2, 9), st.integers(2, 9)), max_size=6),
    batch_size=st.integers(1, 3),
)
def test_any_sizes_in_any_order(sizes: list[tuple[int, int]], batch_size: int) -> None:
    enhance = Enhancer(Shifts())
    given_in = drawn(*sizes)
    for one, other in zip(enhance(given_in, batch_size), given_in, strict=True):
        assert np.array_equal(one, np.minimum(other.astype(int) + 10, 255))
    for count, channels, height, width in enhance.network.seen:
        assert (channels, height % 4, width % 4) == (3, 0, 0)
        assert count <= batch_size


def test_neighbours_of_one_size_go_together() -> None:
    enhance = Enhancer(Shifts())
    enhance(drawn((8, 8), (8, 8), (8, 8), (4, 8), (8, 8)), batch_size=2)
    assert [shape[0] for shape in enhance.network.seen] == [2, 1, 1, 1]


def test_edges_are_mirrored() -> None:
    network = build_network(ResnetSettings(width=8, num_blocks=1), 0)
    picture = drawn((62, 61))[0]
    padded = np.pad(picture, ((0, 2), (0, 3), (0, 0)), mode="symmetric")
    enhance = Enhancer(network)
    assert np.array_equal(enhance([picture])[0], enhance([padded])[0][:62, :61])


def test_bfloat16_is_within_a_few_levels() -> None:
    network = build_network(ResnetSettings(width=16, num_blocks=2, residual_output=True), 0)
    torch.nn.init.normal_(network.last.weight, std=0.002)
    picture = drawn((64, 64))
    one, other = (
        Enhancer(network, precision=precision)(picture)[0].astype(int)
        for precision in ("float32", "bfloat16")
    )
    assert (one != picture[0]).mean() > 0.5
    assert np.abs(one - other).max() <= 2


def test_what_is_no_picture_is_named() -> None:
    enhance = Enhancer(IDENTITY["resnet"])
    good = drawn((16, 16))[0]
    for bad in (good.astype(np.float32), good[..., 0], np.dstack([good, good])):
        with pytest.raises(ValueError, match=r"picture 1: is .*; give it uint8 levels of shape"):
            enhance([good, bad])
    with pytest.raises(ValueError, match=r"picture 0: is 16 x 7 px; .* at least 8 px"):
        enhance([good[:7]])
    with pytest.raises(ValueError, match="batch_size = 0"):
        enhance([good], batch_size=0)


def test_compiled_it_is_the_same_picture_and_batches_have_one_size() -> None:
    network = build_network(ResnetSettings(width=4, num_blocks=1, residual_output=True), 0)
    torch.nn.init.normal_(network.last.weight, std=0.02)
    given_in = drawn((32, 32), (32, 32), (32, 32))
    with warnings.catch_warnings():
        # Of the compiler's own.
        warnings.simplefilter("ignore")
        made = Enhancer(network, compiled=True)(given_in, batch_size=2)
    for one, other in zip(made, Enhancer(network)(given_in), strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1
    shifts = Enhancer(Shifts())
    shifts._compiled = True
    assert len(shifts(given_in, batch_size=2)) == 3
    assert [shape[0] for shape in shifts.network.seen] == [2, 2]


def test_a_gpu_that_is_too_small_is_told_with_its_mend() -> None:
    class Large(Shifts):
        def forward(self, pictures: Tensor) -> Tensor:
            raise torch.OutOfMemoryError

    with pytest.raises(CannotGoOn, match=r"2 pictures of 8 x 9 px: too large .* --tile-px"):
        Enhancer(Large())(drawn((9, 8), (9, 8)), batch_size=2)
