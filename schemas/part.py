"""A part of a dataset: every n-th of its shards, so that jobs of an array fill one dataset."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Part `number` of `count`, numbered from 1; the whole dataset is 1 of 1."""

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        """A part has to lie within its count."""
        if not 1 <= self.number <= self.count:
            raise ValueError(f"part {self}: should be i/n with i from 1 to n")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def label(self) -> str:
        """The part's name in file names."""
        return "all" if self.count == 1 else f"{self.number}-of-{self.count}"

    def has(self, position: int) -> bool:
        """Whether the shard at this position of the plan belongs to the part."""
        return position % self.count == self.number - 1

    def overlaps(self, other: Part) -> bool:
        """Whether some shard could belong to both."""
        return (self.number - other.number) % math.gcd(self.count, other.count) == 0


WHOLE = Part()


def parse_part(text: str) -> Part:
    """The part that `i/n` names."""
    matched = re.fullmatch(r"(\d+)/(\d+)", text)
    if not matched:
        raise ValueError(f"part {text!r}: should be i/n, for example 3/8")
    return Part(int(matched[1]), int(matched[2]))
