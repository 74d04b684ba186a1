"""One shard of an audit: what is read of it, and how often."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.tiny.write import write
from schemas.audit import AuditSettings
from schemas.audit_record import AuditRecord
from schemas.lease import Lease
from schemas.settings import resolve
from shards.encoding import read_parquet
from shards.run import read_generator, read_run
from tasks import audit_shard
from tasks.audit.lookers import audit_weights, build_looker
from tasks.audit_shard import AuditConfig, AuditShard

SHARD = "train/shard-000000"


@contextmanager
def turn() -> Iterator[None]:
    yield


def rows_of(dataset: Path, root: Path, **settings: Any) -> list[dict[str, Any]]:
    told = resolve(AuditSettings, {"analyser": {"kind": "truth"}, **settings}, "a test")
    run, generator = read_run(dataset), read_generator(dataset)
    assert generator is not None
    record = AuditRecord(
        name="medium",
        dataset=generator.fingerprint(),
        stages=run.config.dataset.stages,
        settings=told,
        weights=audit_weights(told, build_looker(told, dataset)),
        procedural=True,
        code="",
        libraries={},
        processor="",
    )
    root.mkdir()
    worker = AuditShard(AuditConfig(str(root), str(dataset), record))
    worker.setup()
    staged = worker.run(Lease(shard=SHARD, attempt=1, samples=()), turn())
    rows: list[dict[str, Any]] = read_parquet(Path(staged.folder) / "parquet").to_pylist()
    return rows


def test_each_picture_is_decoded_once(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where LPIPS compares the two of a pair; in batches that do not divide the shard."""
    monkeypatch.setattr(audit_shard, "_TOGETHER", 3)
    plain = rows_of(finished, tmp_path / "plain")
    write("lpips", tmp_path / "weights")
    opened, lock, read = Counter[bytes](), threading.Lock(), Image.open

    def counting(file: Any) -> Image.Image:
        with lock:
            opened[file.getvalue()] += 1
        return read(file)

    monkeypatch.setattr(Image, "open", counting)
    measured = rows_of(
        finished, tmp_path / "lpips", lpips="alex", lpips_weights=str(tmp_path / "weights")
    )
    assert len(opened) == len(measured) == 16
    assert set(opened.values()) == {1}
    distances = [row.pop("lpips") for row in measured]
    assert [row.pop("lpips") for row in plain] == [None] * 16
    assert [row | {"analyser": ""} for row in measured] == [row | {"analyser": ""} for row in plain]
    assert distances[:8] == [None] * 8
    assert all(one > 0 for one in distances[8:])


def test_what_cannot_be_decoded_is_compared_with_nothing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture as published, but no picture: only its own rows say so."""
    write("lpips", tmp_path / "weights")
    manifest = read_parquet(finished / "manifest.parquet").to_pylist()
    broken = next(row for row in manifest if row["shard"] == SHARD)
    tar = (finished / f"{SHARD}.tar").read_bytes()
    bad = tar[broken["source_offset"] : broken["source_offset"] + broken["source_bytes"]]
    read = Image.open

    def refusing(file: Any) -> Image.Image:
        if file.getvalue() == bad:
            raise OSError("broken data stream")
        return read(file)

    monkeypatch.setattr(Image, "open", refusing)
    found = rows_of(
        finished, tmp_path / "audit", lpips="alex", lpips_weights=str(tmp_path / "weights")
    )
    told = {(row["id"], row["stage"]): row for row in found}
    source, target = (told[broken["id"], stage] for stage in ("source", "target"))
    assert (source["status"], target["status"]) == ("error", "ok")
    assert "cannot be decoded: broken data stream" in source["reason"]
    assert target["lpips"] is None
    assert np.isfinite([r["lpips"] for r in found if r["stage"] == "target" and r != target]).all()
