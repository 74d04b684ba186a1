"""The plan of face pairs: a row per picture and face, in the picture's shard, with its prompt."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyarrow import BufferReader

from schemas.facepairs import FacePairSettings, InpaintSettings
from schemas.seeds import stable_hash
from shards.pair_plan import pair_id, picture_and_face, plan_of_pairs
from shards.plan import planned_samples
from shards.run import publish_run, read_planned

SETTINGS = FacePairSettings(inpaint=InpaintSettings(model="m", revision="r"), faces=2, seed=4)


def test_each_picture_has_a_row_per_face(finished: Path, tmp_path: Path) -> None:
    run, plan = read_planned(finished)
    ours, data = plan_of_pairs(run, plan, SETTINGS)
    rows, pictures = pq.read_table(BufferReader(data)).to_pylist(), plan.to_pylist()
    assert len(rows) == 2 * len(pictures) == ours.plan.rows
    for number, row in enumerate(rows):
        picture = pictures[number // 2]
        assert picture_and_face(row["id"]) == (picture["id"], number % 2 + 1)
        assert row["id"] == pair_id(picture["id"], number % 2 + 1)
        for column in ("split", "half", "shard", "name", "prompt"):
            assert row[column] == picture[column]
        assert row["bad_seed"] == stable_hash("seed", 4, row["id"], "bad")
        assert (row["good_seed"], row["mask_seed"]) == (0, 0)
    ranks = [row["train_rank"] for row in rows if row["split"] == "train"]
    assert sorted(ranks) == list(range(len(ranks)))
    assert publish_run(tmp_path / "out", ours, data)
    _, there = read_planned(tmp_path / "out")
    for _, samples in planned_samples(there):
        assert [one.index for one in samples] == list(range(len(samples)))
        assert all(one.seeds.keys() == {"good", "bad", "mask"} for one in samples)
    assert ours.part_of == run.plan
    assert ours.config.dataset.shard_size == 2 * run.config.dataset.shard_size
    assert ours.config.stage["bad"].model == "m"


def test_whatever_is_left_out_every_pair_of_train_is_in_the_draw(finished: Path) -> None:
    run, plan = read_planned(finished)
    last = sorted(
        (row for row in plan.to_pylist() if row["split"] == "train"), key=lambda r: r["train_rank"]
    )[-3:]
    _, data = plan_of_pairs(run, plan, SETTINGS, only={row["id"] for row in last})
    pairs = pq.read_table(BufferReader(data))
    ranks = dict(zip(pairs["id"].to_pylist(), pairs["train_rank"].to_pylist(), strict=True))
    wanted = [pair_id(row["id"], face) for row in last for face in (1, 2)]
    assert [ranks[one] for one in wanted] == list(range(6))


def test_a_split_and_a_selection_leave_pictures_out(finished: Path) -> None:
    run, plan = read_planned(finished)
    ours, data = plan_of_pairs(run, plan, SETTINGS, split="test")
    assert ours.config.dataset.splits == ("test",)
    some = set(plan["id"].to_pylist()[:3])
    _, data = plan_of_pairs(run, plan, SETTINGS, only=some)
    assert {
        picture_and_face(one)[0] for one in pq.read_table(BufferReader(data))["id"].to_pylist()
    } == some
    captions = dict.fromkeys(some, "a caption of its own")
    _, data = plan_of_pairs(run, plan, SETTINGS, prompts=captions)
    captioned = pq.read_table(BufferReader(data))
    assert {picture_and_face(one)[0] for one in captioned["id"].to_pylist()} == some
    assert set(captioned["prompt"].to_pylist()) == {"a caption of its own"}
    with pytest.raises(ValueError, match="nothing to pair"):
        plan_of_pairs(run, plan, SETTINGS, only=())
