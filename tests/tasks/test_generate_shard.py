"""One shard, made by the real painter: fixed batches, faults as rows, bytes that never change."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.generators.generator import Pixels
from schemas.endings import CannotGoOn
from schemas.lease import Lease
from schemas.sample import PlannedSample, Stage
from shards.plan import planned_samples
from shards.run import read_planned
from tasks.generate_shard import GenerateConfig, GenerateShard, encode_png, fault_of
from tasks.making import making_of

Make = Callable[..., Mapping[Stage, Pixels]]


def worker_and_lease(dataset: Path) -> tuple[GenerateShard, Lease]:
    run, plan = read_planned(dataset)
    shard, samples = next(planned_samples(plan))
    worker = GenerateShard(
        GenerateConfig(str(dataset), run.config, making_of(run.config, run.plan.sha256))
    )
    worker.setup()
    return worker, Lease(shard=shard, attempt=1, samples=samples)


def spoil(worker: GenerateShard, change: Callable[[dict[Stage, Pixels]], None]) -> None:
    """Let the generator return pictures that it should not."""
    make: Make = worker.generator.make

    def spoilt(
        samples: Sequence[PlannedSample], given: Mapping[Stage, Pixels] | None = None
    ) -> Mapping[Stage, Pixels]:
        pictures = dict(make(samples, given))
        change(pictures)
        return pictures

    worker.generator.make = spoilt  # type: ignore[method-assign]


def test_the_same_bytes_every_time(planned: Callable[..., Path]) -> None:
    worker, lease = worker_and_lease(planned("medium"))
    first = worker.run(lease, nullcontext())
    again = worker.run(lease, nullcontext())
    assert first.done == again.done
    assert first.done.planned == first.done.ok == len(lease.samples) == 8


def test_batches_have_one_size(planned: Callable[..., Path]) -> None:
    """The last batch is filled up, since another size may give other bytes."""
    worker, lease = worker_and_lease(planned("medium", "--dataset.batch-size", "5"))
    sizes = []
    spoil(worker, lambda pictures: sizes.append(len(pictures["source"])))
    assert worker.run(lease, nullcontext()).done.ok == 8
    assert sizes == [5, 5]


def test_pictures_that_failed_are_final_rows(planned: Callable[..., Path]) -> None:
    worker, lease = worker_and_lease(planned("medium", "--dataset.batch-size", "8"))

    def change(pictures: dict[Stage, Pixels]) -> None:
        source = pictures["source"].astype(np.float32) / 255
        source[1, 3, 3, 0] = np.nan
        source[2] = 0
        pictures["source"] = source
        pictures["target"] = pictures["target"].copy()
        pictures["target"][4] = 128

    spoil(worker, change)
    staged = worker.run(lease, nullcontext())
    assert (staged.done.ok, staged.done.failed) == (5, 3)
    wanted = {"source is not a number": 1, "source is black": 1, "target is flat": 1}
    assert staged.failures == wanted
    rows = pq.read_table(Path(staged.folder) / "parquet", partitioning=None).to_pylist()
    assert [row["id"] for row in rows] == [sample.id for sample in lease.samples]
    assert [row["index"] for row in rows if row["status"] == "failed"] == [1, 2, 4]
    for row in rows:
        places = [
            row[f"{stage}_{what}"]
            for stage in ("source", "target")
            for what in ("offset", "bytes", "sha256")
        ] + [row["json_offset"], row["json_bytes"]]
        assert all((place is None) == (row["status"] == "failed") for place in places)


def test_floats_are_rounded_and_not_cut() -> None:
    pixels = np.linspace(0, 1, 64 * 64 * 3, dtype=np.float32).reshape(64, 64, 3)
    decoded = np.asarray(Image.open(io.BytesIO(encode_png(pixels).png)))
    assert np.abs(decoded - pixels.astype(np.float64) * 255).max() <= 0.5


@pytest.mark.parametrize(
    ("pixels", "fault"),
    [
        (np.full((64, 64, 3), 0, np.uint8), "black"),
        (np.full((64, 64, 3), 2, np.uint8), "black"),
        (np.full((64, 64, 3), 200, np.uint8), "flat"),
        (np.full((64, 64, 3), np.inf, np.float32), "not a number"),
        (np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), None),
        (np.random.default_rng(0).random((64, 64, 3), np.float32), None),
    ],
)
def test_faults(pixels: Pixels, fault: str | None) -> None:
    assert fault_of(pixels) == fault


def test_a_node_with_another_generator_makes_nothing(planned: Callable[..., Path]) -> None:
    dataset = planned()
    run, _ = read_planned(dataset)
    record = making_of(run.config, run.plan.sha256)
    older = replace(record, numerics={**record.numerics, "dtype": "float64"})
    with pytest.raises(CannotGoOn, match="give all nodes the same code, models and devices"):
        GenerateShard(GenerateConfig(str(dataset), run.config, older)).setup()


def test_what_fails_leaves_nothing_staged(planned: Callable[..., Path]) -> None:
    dataset = planned()
    worker, lease = worker_and_lease(dataset)

    def broken(_: object) -> None:
        raise RuntimeError("a kernel went wrong")

    spoil(worker, broken)
    with pytest.raises(RuntimeError, match="a kernel went wrong"):
        worker.run(lease, nullcontext())
    assert list((dataset / ".staging").iterdir()) == []
