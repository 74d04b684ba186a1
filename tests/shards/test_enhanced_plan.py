"""The plan of enhanced pictures: the samples that are asked for, in their shards, without gaps."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyarrow import BufferReader

from shards.enhanced_plan import plan_of_enhanced
from shards.plan import planned_samples
from shards.run import publish_run, read_planned


def test_it_is_the_datasets_plan(finished: Path, tmp_path: Path) -> None:
    run, plan = read_planned(finished)
    ours, data = plan_of_enhanced(run, plan, "a" * 16)
    assert ours.part_of == run.plan
    assert ours.config.dataset.stages == ("enhanced",)
    table = pq.read_table(BufferReader(data))
    for column in ("id", "split", "half", "shard", "index", "prompt"):
        assert table[column].equals(plan[column])
    assert publish_run(tmp_path / "out", ours, data)
    again, there = read_planned(tmp_path / "out")
    assert (again, there.num_rows) == (ours, plan.num_rows)


def test_a_split_and_a_selection_close_up(finished: Path) -> None:
    run, plan = read_planned(finished)
    ids = plan["id"].to_pylist()
    ours, data = plan_of_enhanced(run, plan, "a", split="train", only=set(ids[1::2]))
    table = pq.read_table(BufferReader(data))
    rows = {row["id"]: row for row in plan.to_pylist()}
    kept = table["id"].to_pylist()
    assert kept == [one for one in ids[1::2] if rows[one]["split"] == "train"]
    assert ours.config.dataset.splits == ("train",)
    for shard, samples in planned_samples(table):
        assert [one.index for one in samples] == list(range(len(samples)))
        assert {rows[one.id]["shard"] for one in samples} == {shard}
        assert {one.seeds["enhanced"] for one in samples} == {0}


def test_nothing_is_refused(finished: Path) -> None:
    run, plan = read_planned(finished)
    with pytest.raises(ValueError, match="nothing to enhance"):
        plan_of_enhanced(run, plan, "a", only={"nobody"})
