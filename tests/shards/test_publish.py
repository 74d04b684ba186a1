"""Publishing: one publisher wins whole, and nothing without its done.json survives a start."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from schemas.lease import Lease, StagedShard
from schemas.sample import StageImage
from shards.owner import Owner
from shards.plan import planned_samples, read_plan
from shards.publish import (
    Publisher,
    ShardTaken,
    broken,
    published,
    quarantined,
    read_done,
    set_aside,
)
from shards.staging import ShardStage, picture

SHARD = "train/shard-000000"


def set_aside_broken(dataset: Path, shards: Sequence[str]) -> list[tuple[str, str]]:
    found = list(broken(dataset, shards))
    for shard, reason in found:
        set_aside(dataset, shard, reason)
    return found


def stage_shard(dataset: Path, attempt: int, filling: bytes) -> StagedShard:
    """A staged shard whose pictures are all the same bytes."""
    shared = {
        stage: StageImage(seed=0, model="m", revision="1", steps=1, guidance=0.0)
        for stage in ("source", "target")
    }
    shard, samples = next(planned_samples(read_plan(dataset)))
    assert shard == SHARD
    lease = Lease(shard=shard, attempt=attempt, samples=samples)
    with ShardStage(dataset, lease, shared, size_px=64, made_by="") as stage:
        for sample in samples:
            stage.add(sample, {"source": picture(filling), "target": picture(filling * 2)})
        return stage.finish(0.0)


class _FreeForAll(Owner):
    """No owner at all, so that two publishers may meet."""

    def __init__(self) -> None:
        pass

    def check(self) -> None:
        """Never lost."""


def _commit(dataset: Path, staged: StagedShard, start: Barrier) -> None:
    start.wait()
    try:
        Publisher(dataset, _FreeForAll()).commit(staged)
    except ShardTaken:
        os._exit(3)


def test_of_two_publishers_one_wins_whole(planned: Callable[..., Path]) -> None:
    """Real processes, again and again; never a mix of both."""
    dataset = planned()
    context = multiprocessing.get_context("fork")
    for round_ in range(20):
        staged = [stage_shard(dataset, n, bytes([65 + n]) * 5000) for n in (1, 2)]
        start = context.Barrier(2)
        racers = [context.Process(target=_commit, args=(dataset, one, start)) for one in staged]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert sorted(racer.exitcode for racer in racers) == [0, 3], round_
        done = read_done(dataset / f"{SHARD}.done.json")
        winner = staged[[racer.exitcode for racer in racers].index(0)]
        assert done == winner.done
        assert set_aside_broken(dataset, [SHARD]) == []
        assert not list((dataset / ".staging").glob("train-*"))
        for suffix in ("tar", "parquet", "done.json"):
            (dataset / f"{SHARD}.{suffix}").unlink()


def test_a_publisher_that_slept_does_not_mix_its_files_in(planned: Callable[..., Path]) -> None:
    """Between its tar and its done.json another driver sets the tar aside and publishes."""
    dataset = planned()
    late, early = (stage_shard(dataset, n, bytes([65 + n]) * 5000) for n in (1, 2))

    class Sleeper(_FreeForAll):
        checks = 0

        def check(self) -> None:
            self.checks += 1
            if self.checks == 2:  # its tar and its rows are linked, its done.json is not
                assert len(set_aside_broken(dataset, [SHARD])) == 1
                Publisher(dataset, _FreeForAll()).commit(early)

    with pytest.raises(ShardTaken, match="another publisher took its name"):
        Publisher(dataset, Sleeper()).commit(late)
    assert read_done(dataset / f"{SHARD}.done.json") == early.done
    assert set_aside_broken(dataset, [SHARD]) == []


def test_a_published_shard_is_never_replaced(planned: Callable[..., Path]) -> None:
    dataset = planned()
    with Owner(dataset) as owner:
        first = stage_shard(dataset, 1, b"first")
        Publisher(dataset, owner).commit(first)
        with pytest.raises(ShardTaken, match="is there already"):
            Publisher(dataset, owner).commit(stage_shard(dataset, 2, b"second"))
    assert published(dataset, [SHARD]) == {SHARD: first.done}


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (("tar",), "shard-000000.tar without shard-000000.done.json"),
        (
            ("tar", "parquet"),
            "shard-000000.tar and shard-000000.parquet without shard-000000.done.json",
        ),
        (("done.json", "parquet"), "shard-000000.done.json without shard-000000.tar"),
        (("done.json", "tar"), "shard-000000.done.json without shard-000000.parquet"),
        (("done.json",), "shard-000000.done.json without shard-000000.tar"),
    ],
)
def test_what_a_kill_leaves_is_set_aside(
    planned: Callable[..., Path], left: tuple[str, ...], reason: str
) -> None:
    dataset = planned()
    Publisher(dataset, _FreeForAll()).commit(stage_shard(dataset, 1, b"some bytes"))
    contents = {s: (dataset / f"{SHARD}.{s}").read_bytes() for s in ("tar", "parquet", "done.json")}
    for suffix in contents.keys() - set(left):
        (dataset / f"{SHARD}.{suffix}").unlink()
    assert set_aside_broken(dataset, [SHARD, "train/shard-000001"]) == [(SHARD, reason)]
    assert not list(dataset.glob(f"{SHARD}.*"))
    for suffix in left:
        moved = dataset / "quarantine/0001" / f"train-shard-000000.{suffix}"
        assert moved.read_bytes() == contents[suffix]
    assert quarantined(dataset)[0]["reason"] == reason
    assert set_aside_broken(dataset, [SHARD]) == []


@pytest.mark.parametrize("suffix", ["tar", "parquet"])
def test_a_half_written_file_is_set_aside(planned: Callable[..., Path], suffix: str) -> None:
    dataset = planned()
    Publisher(dataset, _FreeForAll()).commit(stage_shard(dataset, 1, b"some bytes"))
    path = dataset / f"{SHARD}.{suffix}"
    path.write_bytes(path.read_bytes()[:-10])
    length = path.stat().st_size
    ((_, reason),) = set_aside_broken(dataset, [SHARD])
    assert f"{path.name} has {length} bytes" in reason


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"shard": "train/shard-000000"}', json.dumps({"planned": "many"})]
)
def test_a_damaged_done_file_is_set_aside(planned: Callable[..., Path], text: str) -> None:
    dataset = planned()
    Publisher(dataset, _FreeForAll()).commit(stage_shard(dataset, 1, b"some bytes"))
    (dataset / f"{SHARD}.done.json").write_text(text)
    ((_, reason),) = set_aside_broken(dataset, [SHARD])
    assert reason.startswith("shard-000000.done.json is damaged: ")
