"""A pilot: the same samples as in the whole, in shards of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import dataset_config, read_preset
from shards.pilot import pilot_plan
from shards.plan import make_plan, shard_rows
from shards.run import read_planned

WHOLE = make_plan(
    dataset_config(read_preset(Path("configs/demo.toml")), "baseline", "demo"), names=None
)


@given(st.integers(1, WHOLE.num_rows), st.integers(1, 40))
def test_rows_are_those_of_the_whole_but_for_their_place(count: int, shard_size: int) -> None:
    pilot = pilot_plan(WHOLE, count, shard_size)
    assert pilot.schema == WHOLE.schema
    assert pilot.num_rows == len(pilot.column("id").unique()) == count
    placeless = pilot.drop_columns(["shard", "index"])
    whole = WHOLE.filter(pc.is_in(WHOLE.column("id"), pilot.column("id")))
    assert placeless.equals(whole.drop_columns(["shard", "index"]))
    for shard, rows in shard_rows(pilot):
        assert rows.column("index").to_pylist() == list(range(rows.num_rows))
        assert set(rows.column("split").to_pylist()) == {shard.partition("/")[0]}
        assert rows.num_rows <= shard_size


def test_every_split_is_in_a_pilot() -> None:
    pilot = pilot_plan(WHOLE, 32, 8)
    assert set(pilot.column("split").to_pylist()) == set(WHOLE.column("split").to_pylist())


@pytest.mark.parametrize("count", [0, -1, WHOLE.num_rows + 1])
def test_more_than_there_is(count: int) -> None:
    with pytest.raises(ValueError, match=rf"--limit {count}: should be from 1 to 128"):
        pilot_plan(WHOLE, count, 8)


def test_a_plan_can_be_read_again(planned: Callable[..., Path]) -> None:
    _, plan = read_planned(planned("medium"))
    assert isinstance(pilot_plan(plan, 3, 8), pa.Table)
