"""Putting one shard together, in a folder of its own, where only its worker writes.

A staged shard is whole and on the disk, and still nobody sees it: publishing is the owner's.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.endings import ends_the_run
from schemas.lease import Lease, ShardDone, StagedShard
from schemas.sample import PlannedSample, Sample, Stage, StageImage, sample_row, sample_schema
from shards import filesystem, layout
from shards.encoding import json_bytes, parquet_bytes, sha256
from shards.tar import TarWriter


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture. Hashed where it is encoded, which is done by several threads at once."""

    png: bytes
    sha256: str


def picture(png: bytes) -> Picture:
    """An encoded picture with its checksum."""
    return Picture(png, sha256(png))


class ShardStage:
    """Takes the samples of a lease in their order, and ends as a staged shard."""

    def __init__(
        self,
        dataset: Path,
        lease: Lease,
        images: Mapping[Stage, StageImage],
        *,
        size_px: int,
        made_by: str,
    ) -> None:
        """`images` says for each stage what all its pictures share: model, steps and so on."""
        self._lease, self._shared, self._size_px = lease, images, size_px
        self._made_by = made_by
        with ends_the_run():
            self._folder = _new_folder(dataset, lease)
            self._tar = TarWriter(self._folder / "tar")
        self._samples: list[Sample] = []
        self._finished = False

    def add(
        self,
        planned: PlannedSample,
        pictures: Mapping[Stage, Picture],
        strengths: Mapping[Stage, float] | None = None,
    ) -> None:
        """Append a sample with one picture for each stage; `strengths` where each has its own."""
        strengths = strengths or {}
        images = {
            stage: replace(
                shared,
                seed=planned.seeds[stage],
                strength=strengths.get(stage, shared.strength),
                offset=self._append(layout.picture_member(planned.id, stage), pictures[stage].png),
                bytes=len(pictures[stage].png),
                sha256=pictures[stage].sha256,
            )
            for stage, shared in self._shared.items()
        }
        facts = member_facts(planned, self._size_px)
        offset = self._append(layout.facts_member(planned.id), facts)
        self._samples.append(self._sample(planned, images, None, offset, len(facts)))

    def fail(self, planned: PlannedSample, reason: str) -> None:
        """Append a sample that has no pictures, and why."""
        images = {
            stage: replace(shared, seed=planned.seeds[stage])
            for stage, shared in self._shared.items()
        }
        self._samples.append(self._sample(planned, images, reason, None, None))

    def finish(self, seconds: float) -> StagedShard:
        """Bring rows and tar to the disk; the rows first, while the tar is still being hashed."""
        with ends_the_run():
            staged = self._finish(seconds)
        self._finished = True
        return staged

    def _append(self, name: str, data: bytes) -> int:
        with ends_the_run():
            return self._tar.add(name, data)

    def _finish(self, seconds: float) -> StagedShard:
        rows = filesystem.write_new(self._folder / "parquet", self._rows_parquet())
        tar = self._tar.finish()
        failures = Counter(sample.reason for sample in self._samples if sample.reason)
        done = ShardDone(
            shard=self._lease.shard,
            made_by=self._made_by,
            planned=len(self._lease.samples),
            ok=len(self._samples) - failures.total(),
            failed=failures.total(),
            tar=tar,
            parquet=rows,
        )
        return _staged(self._folder, self._lease, done, failures, seconds)

    def _sample(
        self,
        planned: PlannedSample,
        images: dict[Stage, StageImage],
        reason: str | None,
        json_offset: int | None,
        json_bytes: int | None,
    ) -> Sample:
        return Sample(
            id=planned.id,
            split=planned.split,
            half=planned.half,
            shard=planned.shard,
            index=planned.index,
            status="failed" if reason else "ok",
            reason=reason,
            name=planned.name,
            nconst=planned.nconst,
            prompt=planned.prompt,
            size_px=self._size_px,
            json_offset=json_offset,
            json_bytes=json_bytes,
            images=images,
        )

    def _rows_parquet(self) -> bytes:
        rows = map(sample_row, self._samples)
        schema = sample_schema(tuple(self._shared))
        return parquet_bytes(pa.Table.from_pylist(list(rows), schema=schema))

    def __enter__(self) -> ShardStage:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()
        if not self._finished:
            filesystem.remove_staged(self._folder)


def stage_rows(
    root: Path,
    lease: Lease,
    table: pa.Table,
    failures: Counter[str],
    *,
    made_by: str,
    begun: float,
    told: Mapping[str, float] | None = None,
) -> StagedShard:
    """Stage a shard of rows alone; `failures` counts reasons, `begun` is a monotonic time."""
    with ends_the_run():
        folder = _new_folder(root, lease)
        try:
            done = ShardDone(
                shard=lease.shard,
                made_by=made_by,
                planned=table.num_rows,
                ok=table.num_rows - failures.total(),
                failed=failures.total(),
                tar=None,
                parquet=filesystem.write_new(folder / "parquet", parquet_bytes(table)),
            )
            staged = _staged(folder, lease, done, failures, time.monotonic() - begun)
            return replace(staged, told=dict(told or {}))
        except BaseException:
            filesystem.remove_staged(folder)
            raise


def _new_folder(root: Path, lease: Lease) -> Path:
    """Its own even beside a worker of a killed driver that still stages the same attempt."""
    name = f"{layout.staging_name(lease.shard)}.{lease.attempt}-{secrets.token_hex(4)}"
    folder = root / filesystem.STAGING / name
    filesystem.make_folder(folder)
    return folder


def _staged(
    folder: Path, lease: Lease, done: ShardDone, failures: Counter[str], seconds: float
) -> StagedShard:
    filesystem.write_new(folder / "done.json", json_bytes(asdict(done)))
    filesystem.sync_folder(folder)
    return StagedShard(
        done=done,
        attempt=lease.attempt,
        folder=str(folder),
        seconds=seconds,
        failures=dict(failures),
    )


def member_facts(planned: PlannedSample, size_px: int) -> bytes:
    """The json member of a sample.

    Hugging Face's reader takes the columns from the first samples, so every field is always there
    and never null: what a sample lacks is an empty string.
    """
    facts: dict[str, Any] = {
        "id": planned.id,
        "split": planned.split,
        "half": planned.half or "",
        "name": planned.name or "",
        "nconst": planned.nconst or "",
        "prompt": planned.prompt,
        "size_px": size_px,
        **{f"{stage}_seed": seed for stage, seed in planned.seeds.items()},
    }
    return json.dumps(facts, ensure_ascii=False).encode()
