"""The image pool: what it gives back, and that it continues exactly."""

from __future__ import annotations

import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.heads.image_pool import ImagePool


def numbered(*numbers: int) -> Tensor:
    return torch.stack([torch.full((3, 2, 2), float(number)) for number in numbers])


def numbers(pictures: Tensor) -> list[int]:
    return [int(one[0, 0, 0]) for one in pictures]


def test_it_gives_back_the_new_until_it_is_full() -> None:
    pool = ImagePool(3, seed=0)
    assert numbers(pool.exchange(numbered(0, 1))) == [0, 1]
    assert len(pool) == 2
    assert numbers(pool.exchange(numbered(2))) == [2]
    assert len(pool) == 3


def test_half_of_the_time_it_gives_an_old_one_for_the_new() -> None:
    pool = ImagePool(50, seed=1)
    pool.exchange(numbered(*range(50)))
    held = set(range(50))
    old = 0
    for number in range(50, 2050):
        given_back = numbers(pool.exchange(numbered(number)))[0]
        if given_back != number:
            assert given_back in held, "given twice, or never put in"
            held = (held - {given_back}) | {number}
            old += 1
    # Binomial of 2,000 and a half: five standard deviations are 112.
    assert abs(old - 1000) < 112
    assert len(pool) == 50


def test_it_keeps_no_graph_and_no_view() -> None:
    pool = ImagePool(2, seed=0)
    picture = numbered(1, 2).requires_grad_()
    back = pool.exchange(picture)
    assert not back.requires_grad
    with torch.no_grad():
        picture.zero_()
    assert {numbers(one[None])[0] for one in pool.state_dict()["pictures"]} == {1, 2}


def test_without_a_size_it_keeps_nothing() -> None:
    pool = ImagePool(0, seed=0)
    assert numbers(pool.exchange(numbered(5))) == [5]
    assert len(pool) == 0


@given(
    size=st.integers(0, 5),
    seed=st.integers(0, 3),
    batches=st.lists(st.integers(1, 4), max_size=12),
    stop=st.integers(0, 12),
)
def test_it_continues_as_if_it_had_not_stopped(
    size: int, seed: int, batches: list[int], stop: int
) -> None:
    begins = [sum(batches[:place]) for place in range(len(batches))]
    pictures = [
        numbered(*range(begin, begin + many)) for begin, many in zip(begins, batches, strict=True)
    ]
    undisturbed = ImagePool(size, seed)
    wanted = [undisturbed.exchange(one) for one in pictures]

    pool = ImagePool(size, seed)
    found = [pool.exchange(one) for one in pictures[:stop]]
    file = io.BytesIO()
    torch.save(pool.state_dict(), file)
    file.seek(0)
    again = ImagePool(size, seed=99)
    torch.rand(3)  # others' chance has no part in it
    again.load_state_dict(torch.load(file, weights_only=True))
    found += [again.exchange(one) for one in pictures[stop:]]
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_it_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="size = -1"):
        ImagePool(-1, seed=0)
    pool = ImagePool(2, seed=0)
    with pytest.raises(ValueError, match="size = 2: the state is of a pool of 3"):
        pool.load_state_dict(ImagePool(3, seed=0).state_dict())
    pool.exchange(numbered(1))
    with pytest.raises(ValueError, match="clear it between phases"):
        pool.exchange(torch.zeros(1, 3, 4, 4))
    pool.clear()
    pool.exchange(torch.zeros(1, 3, 4, 4))
