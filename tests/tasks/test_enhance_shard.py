"""One shard through a head: the pictures that the head makes, faults as rows, the same bytes."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.heads.head import Head
from schemas.endings import CannotGoOn
from schemas.enhance import EnhanceSettings
from schemas.lease import Lease
from shards import layout
from shards.encoding import read_parquet
from shards.enhanced_plan import plan_of_enhanced
from shards.plan import planned_samples
from shards.run import publish_run, read_generator, read_planned
from tasks import enhance_shard
from tasks.enhance_shard import EnhanceConfig, EnhanceShard, enhancing_record
from tasks.published_pictures import Undecodable, published_picture
from tests.heads import small_head

SETTINGS = EnhanceSettings(batch_size=3)


@pytest.fixture
def head(tmp_path: Path) -> Head:
    return small_head(tmp_path / "head")


@pytest.fixture
def config(tmp_path: Path, finished: Path, head: Head) -> EnhanceConfig:
    run, plan = read_planned(finished)
    ours, data = plan_of_enhanced(run, plan, head.weights_sha256[:16])
    publish_run(tmp_path / "out", ours, data)
    made_from = read_generator(finished)
    assert made_from is not None
    return EnhanceConfig(
        root=str(tmp_path / "out"),
        dataset=str(finished),
        head=str(tmp_path / "head"),
        stage="source",
        size_px=64,
        settings=SETTINGS,
        record=enhancing_record(ours, made_from.fingerprint(), "source", SETTINGS, head),
    )


def lease_of(config: EnhanceConfig) -> Lease:
    _, plan = read_planned(Path(config.root))
    shard, samples = next(planned_samples(plan))
    return Lease(shard=shard, attempt=1, samples=samples)


def test_every_picture_is_the_heads(config: EnhanceConfig, finished: Path, head: Head) -> None:
    worker, lease = EnhanceShard(config), lease_of(config)
    stack = worker.setup()
    assert {"code", "processor", "torch"} <= stack.keys()
    staged, again = (worker.run(lease, nullcontext()) for _ in range(2))
    assert staged.done == again.done
    assert (staged.done.planned, staged.done.ok, staged.done.failed) == (8, 8, 0)
    tar = (Path(staged.folder) / "tar").read_bytes()
    given = read_parquet(layout.rows_path(finished, lease.shard)).to_pylist()
    rows = read_parquet(Path(staged.folder) / "parquet").to_pylist()
    for row, source in zip(rows, given, strict=True):
        begin = row["enhanced_offset"]
        made = np.asarray(Image.open(io.BytesIO(tar[begin : begin + row["enhanced_bytes"]])))
        picture = published_picture(finished, source, "source")
        assert np.abs(made.astype(int) - head(picture)).max() <= 1
        assert np.abs(made.astype(int) - picture).max() > 5
        assert (row["id"], row["enhanced_model"]) == (source["id"], "relume-head")


def test_what_has_no_picture_is_a_row_with_its_reason(
    config: EnhanceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, lease = EnhanceShard(config), lease_of(config)
    worker.setup()
    whole = worker.run(lease, nullcontext())
    first, second, third = (one.id for one in lease.samples[:3])

    def broken(dataset: Path, row: dict[str, object], stage: str) -> np.ndarray:
        if row["id"] == first:
            raise Undecodable("cannot be decoded: cut")
        levels = published_picture(dataset, row, "source")
        return np.zeros_like(levels) if row["id"] == second else levels

    def rows(path: Path, columns: None = None) -> object:
        table = read_parquet(path).to_pylist()
        for row in table:
            if row["id"] == third:
                row |= {"status": "failed", "reason": "source is black"}
        return type("Table", (), {"to_pylist": lambda _: table})()

    monkeypatch.setattr(enhance_shard, "published_picture", broken)
    monkeypatch.setattr(enhance_shard, "read_parquet", rows)
    enhance = worker._enhance
    assert enhance is not None

    def blacks_stay_black(pictures: list[np.ndarray], batch_size: int) -> list[np.ndarray]:
        made = enhance(pictures, batch_size)
        return [one if given.any() else given for one, given in zip(made, pictures, strict=True)]

    worker._enhance = blacks_stay_black  # type: ignore[assignment]
    staged = worker.run(lease, nullcontext())
    assert staged.failures == {
        "source cannot be decoded: cut": 1,
        "enhanced is black": 1,
        "no source: source is black": 1,
    }
    # Short batches are filled up, so the others have the bytes that they have in company.
    ours, theirs = (
        read_parquet(Path(one.folder) / "parquet")["enhanced_sha256"].to_pylist()
        for one in (staged, whole)
    )
    assert ours[3:] == theirs[3:]
    assert ours[:3] == [None] * 3


def test_a_node_with_another_head_makes_nothing(config: EnhanceConfig, tmp_path: Path) -> None:
    small_head(tmp_path / "other", seed=1)
    with pytest.raises(CannotGoOn, match=r"sees another head at .*than the driver"):
        EnhanceShard(replace(config, head=str(tmp_path / "other"))).setup()


def test_a_gpu_that_is_not_there_is_said(config: EnhanceConfig) -> None:
    on_gpu = replace(config, settings=EnhanceSettings(device="cuda"))
    with pytest.raises(ValueError, match="--device cuda: no CUDA device is seen here"):
        EnhanceShard(on_gpu).setup()
    assert 2 <= enhance_shard._coders(EnhanceSettings(device="cuda")) <= 16


def test_damage_is_for_the_driver_to_judge(
    config: EnhanceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise ValueError("is not as published")

    worker = EnhanceShard(config)
    worker.setup()
    monkeypatch.setattr(enhance_shard, "published_picture", damaged)
    with pytest.raises(ValueError, match="is not as published"):
        worker.run(lease_of(config), nullcontext())
    assert list((Path(config.root) / ".staging").glob("*/*")) == []
