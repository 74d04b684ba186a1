"""The layers of FID's Inception-v3 by their names in the published file; holds no weights.

It is TensorFlow's network of 2015: average pools do not count their padding, and the last block
pools by the largest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Tap = Literal[64, 192, 768, 2048]
TAPS: tuple[Tap, ...] = (64, 192, 768, 2048)


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution without bias, a batch norm and a ReLU; padded to its size, or not at all."""

    name: str
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of 3 x 3: of stride 1 padded, of stride 2 not."""

    kind: Literal["average", "largest"]
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Fork:
    """Several convolutions of the same input, one after another in the channels."""

    ends: tuple[Convolution, ...]


Step = Convolution | Pool | Fork
Branch = tuple[Step, ...]


def _square(name: str, kernel: int, stride: int = 1, padded: bool = True) -> Convolution:
    return Convolution(name, (kernel, kernel), stride, padded)


def _half(name: str) -> Convolution:
    return _square(name, 3, stride=2, padded=False)


def _wide(name: str, length: int) -> Convolution:
    return Convolution(name, (1, length))


def _high(name: str, length: int) -> Convolution:
    return Convolution(name, (length, 1))


_TRIPLE = (Convolution("branch3x3dbl_1"), _square("branch3x3dbl_2", 3))
_POOLED: Branch = (Pool("average"), Convolution("branch_pool"))

_A: tuple[Branch, ...] = (
    (Convolution("branch1x1"),),
    (Convolution("branch5x5_1"), _square("branch5x5_2", 5)),
    (*_TRIPLE, _square("branch3x3dbl_3", 3)),
    _POOLED,
)
_B: tuple[Branch, ...] = (
    (_half("branch3x3"),),
    (*_TRIPLE, _half("branch3x3dbl_3")),
    (Pool("largest", 2),),
)
_C: tuple[Branch, ...] = (
    (Convolution("branch1x1"),),
    (Convolution("branch7x7_1"), _wide("branch7x7_2", 7), _high("branch7x7_3", 7)),
    (
        Convolution("branch7x7dbl_1"),
        _high("branch7x7dbl_2", 7),
        _wide("branch7x7dbl_3", 7),
        _high("branch7x7dbl_4", 7),
        _wide("branch7x7dbl_5", 7),
    ),
    _POOLED,
)
_D: tuple[Branch, ...] = (
    (Convolution("branch3x3_1"), _half("branch3x3_2")),
    (
        Convolution("branch7x7x3_1"),
        _wide("branch7x7x3_2", 7),
        _high("branch7x7x3_3", 7),
        _half("branch7x7x3_4"),
    ),
    (Pool("largest", 2),),
)


def _e(pool: Literal["average", "largest"]) -> tuple[Branch, ...]:
    def fork(name: str) -> Fork:
        return Fork((_wide(f"{name}a", 3), _high(f"{name}b", 3)))

    return (
        (Convolution("branch1x1"),),
        (Convolution("branch3x3_1"), fork("branch3x3_2")),
        (*_TRIPLE, fork("branch3x3dbl_3")),
        (Pool(pool), Convolution("branch_pool")),
    )


# What leads to each tap: the stem's single layers, then blocks of branches by their names.
STEM: Mapping[Tap, Branch] = {
    64: (
        _half("Conv2d_1a_3x3"),
        _square("Conv2d_2a_3x3", 3, padded=False),
        _square("Conv2d_2b_3x3", 3),
        Pool("largest", 2),
    ),
    192: (
        Convolution("Conv2d_3b_1x1"),
        _square("Conv2d_4a_3x3", 3, padded=False),
        Pool("largest", 2),
    ),
}
BLOCKS: Mapping[Tap, Mapping[str, tuple[Branch, ...]]] = {
    768: {
        "Mixed_5b": _A,
        "Mixed_5c": _A,
        "Mixed_5d": _A,
        "Mixed_6a": _B,
        "Mixed_6b": _C,
        "Mixed_6c": _C,
        "Mixed_6d": _C,
        "Mixed_6e": _C,
    },
    2048: {"Mixed_7a": _D, "Mixed_7b": _e("average"), "Mixed_7c": _e("largest")},
}
