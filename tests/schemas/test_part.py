from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.part import WHOLE, Part, parse_part

PARTS = st.integers(1, 12).flatmap(lambda n: st.builds(Part, st.integers(1, n), st.just(n)))


@given(PARTS, PARTS)
def test_parts_overlap_if_a_shard_could_belong_to_both(one: Part, other: Part) -> None:
    both = any(one.has(shard) and other.has(shard) for shard in range(one.count * other.count))
    assert one.overlaps(other) == both == other.overlaps(one)


@given(st.integers(1, 12), st.integers(0, 1000))
def test_every_shard_belongs_to_exactly_one_part(count: int, shard: int) -> None:
    assert sum(Part(number, count).has(shard) for number in range(1, count + 1)) == 1


def test_parts_are_written_as_they_are_read() -> None:
    assert parse_part("3/8") == Part(3, 8)
    assert (str(Part(3, 8)), Part(3, 8).label) == ("3/8", "3-of-8")
    assert (parse_part("1/1"), WHOLE.label) == (WHOLE, "all")


@pytest.mark.parametrize("text", ["", "3", "3/", "/8", "a/b", "-1/3", "3/8/9", "0/8", "9/8"])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(ValueError, match="should be i/n"):
        parse_part(text)


@given(PARTS)
def test_a_part_is_read_as_it_is_written_and_its_label_is_a_file_name(part: Part) -> None:
    assert parse_part(str(part)) == part
    assert part.overlaps(part)
    assert part.overlaps(WHOLE)
    assert "/" not in part.label
