"""Who stands in for a sample that will not do, and when a run gives up."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from tasks.training.stand_ins import Unusable, stood_in


def reading(bad: dict[int, str], tried: list[int]) -> Callable[[int], str]:
    def read(further: int) -> str:
        tried.append(further)
        if further in bad:
            raise Unusable(f"sample-{further}", bad[further])
        return f"picture-{further}"

    return read


def test_the_next_one_that_will_do_stands_in_and_the_others_are_told() -> None:
    left_out: list[tuple[str, str]] = []
    tried: list[int] = []
    read = reading({0: "cut", 1: "flat"}, tried)
    assert stood_in(read, left_out, lambda _: False) == "picture-2"
    assert tried == [0, 1, 2]
    assert left_out == [("sample-0", "cut"), ("sample-1", "flat")]


def test_what_stops_a_run_is_raised_as_it_is() -> None:
    left_out: list[tuple[str, str]] = []
    read = reading({0: "flat", 1: "cut"}, [])
    with pytest.raises(Unusable, match=r"^sample-1: cut$"):
        stood_in(read, left_out, lambda error: error.why == "cut")
    assert left_out == [("sample-0", "flat")]


def test_eight_in_a_row_are_no_accident() -> None:
    left_out: list[tuple[str, str]] = []
    tried: list[int] = []
    read = reading(dict.fromkeys(range(99), "cut"), tried)
    with pytest.raises(Unusable, match=r"^sample-7: cut, and so with 7 before it$"):
        stood_in(read, left_out, lambda _: False)
    assert tried == list(range(8))
    assert len(left_out) == 8
    # Seven are one.
    assert stood_in(reading(dict.fromkeys(range(7), "cut"), []), [], lambda _: False)


def test_it_passes_from_one_process_to_another() -> None:
    there = pickle.loads(pickle.dumps(Unusable("sample", "why")))
    assert (there.sample, there.why, str(there)) == ("sample", "why", "sample: why")
