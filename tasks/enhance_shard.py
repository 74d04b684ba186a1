"""Putting the pictures of one shard through a head, and staging what comes of them."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.heads.head import Head
from models.heads.tiles import TiledEnhancer
from schemas.endings import CannotGoOn
from schemas.enhance import EnhanceSettings
from schemas.lease import Lease, StagedShard, Turn
from schemas.run import GeneratorRecord, ModelIdentity, Run
from schemas.sample import PlannedSample, Stage, StageImage
from shards import layout
from shards.encoding import read_parquet
from shards.provenance import code_version, library_versions, processor
from shards.staging import Picture, ShardStage
from tasks.enhance.open_head import enhancer_of, open_head
from tasks.generate_shard import encode_png, fault_of
from tasks.published_pictures import Undecodable, published_picture

Levels = NDArray[np.uint8]
# Batches that are decoded ahead of the network.
_AHEAD = 2
_MOST_CODERS = 16
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class EnhanceConfig:
    """What a worker is told: which head, from where to where, and what makes the pictures."""

    root: str
    dataset: str
    head: str
    stage: Stage
    size_px: int
    settings: EnhanceSettings
    record: GeneratorRecord


def enhancing_record(
    run: Run, made_from: str, stage: Stage, settings: EnhanceSettings, head: Head
) -> GeneratorRecord:
    """generator.json of an enhanced dataset; `made_from` is the other dataset's fingerprint."""
    enhanced = run.config.stage["enhanced"]
    on_gpu = settings.device == "cuda"
    return GeneratorRecord(
        plan_sha256=run.plan.sha256,
        truth=None,
        models={
            "enhanced": ModelIdentity(
                model=enhanced.model,
                revision=enhanced.revision,
                weights={WEIGHTS: head.weights_sha256},
            )
        },
        numerics={
            "made_from": made_from,
            "stage": stage,
            "device": settings.device,
            "precision": settings.precision,
            "compiled": str(settings.compiled).lower(),
            "batch_size": settings.batch_size,
            "threads": settings.threads,
            "tile_px": settings.tile_px,
            "overlap_px": settings.overlap_px,
        },
        code=code_version(),
        libraries=library_versions(),
        processor=None if on_gpu else processor(),
    )


class EnhanceShard:
    """The worker that enhances shards."""

    def __init__(self, config: EnhanceConfig) -> None:
        self._config = config
        self._root, self._dataset = Path(config.root), Path(config.dataset)
        self._stage, self._batch_size = config.stage, config.settings.batch_size
        self._coders = _coders(config.settings)
        self._enhance: TiledEnhancer | None = None
        self._free_since = 0.0

    def setup(self) -> dict[str, str]:
        """Load the head; CannotGoOn where it is not that of generator.json."""
        head = open_head(self._config.head)
        wanted = self._config.record.models["enhanced"].weights[WEIGHTS]
        if head.weights_sha256 != wanted:
            raise CannotGoOn(
                f"{socket.gethostname()} sees another head at {self._config.head} than the driver; "
                "give all nodes the same files"
            )
        self._enhance, on = enhancer_of(head, self._config.settings)
        return {"code": code_version(), "processor": on, **library_versions()}

    def run(self, lease: Lease, turn: Turn) -> StagedShard:
        """Enhance one shard."""
        rows = read_parquet(layout.rows_path(self._dataset, lease.shard)).to_pylist()
        by_id = {row["id"]: row for row in rows}
        with (
            ThreadPoolExecutor(self._coders) as decoders,
            ThreadPoolExecutor(self._coders) as encoders,
            ShardStage(
                self._root,
                lease,
                {"enhanced": _shared(self._config.record)},
                size_px=self._config.size_px,
                made_by=self._config.record.fingerprint(),
            ) as stage,
        ):
            # The first batches are decoded while the lease before still has its turn.
            ones = _ahead(self._shown(decoders, lease, by_id), _AHEAD * self._batch_size)
            before: list[_Made] = []
            with turn:
                begun = time.monotonic()
                # Of this thread alone, and a lease may come in another than the last one.
                torch.set_num_threads(self._config.settings.threads)
                while batch := [one.result() for one in islice(ones, self._batch_size)]:
                    made = list(self._made(batch, encoders))
                    # While this batch was made, the one before it was encoded.
                    _put(stage, before)
                    before = made
            # The next lease has its turn while the last batch is encoded, written and hashed.
            _put(stage, before)
            return stage.finish(self._spent_s(begun))

    def _spent_s(self, begun: float) -> float:
        """This lease's seconds of its worker; those that it shared count for the one before."""
        now = time.monotonic()
        spent_s = now - max(begun, self._free_since)
        self._free_since = now
        return spent_s

    def _shown(
        self, decoders: ThreadPoolExecutor, lease: Lease, rows: dict[str, dict[str, Any]]
    ) -> Iterator[Future[_Shown]]:
        return (decoders.submit(self._show, one, rows[one.id]) for one in lease.samples)

    def _show(self, sample: PlannedSample, row: dict[str, Any]) -> _Shown:
        if row["status"] != "ok":
            return _Shown(sample, None, f"no {self._stage}: {row['reason']}")
        try:
            return _Shown(sample, published_picture(self._dataset, row, self._stage), None)
        except Undecodable as error:
            return _Shown(sample, None, f"{self._stage} {error}")

    def _made(self, batch: Sequence[_Shown], encoders: ThreadPoolExecutor) -> Iterator[_Made]:
        """The pictures of a batch, on their way to becoming files."""
        assert self._enhance is not None, "setup() comes first"
        levels = [one.levels for one in batch if one.levels is not None]
        enhanced: Iterator[Levels] = iter(())
        if levels:
            # A batch of another size may give other bytes, so a short one is filled up.
            whole = [*levels, *repeat(levels[-1], self._batch_size - len(levels))]
            enhanced = iter(self._enhance(whole, self._batch_size))
        for one in batch:
            if one.levels is None:
                yield _Made(one.sample, one.why, None)
                continue
            picture = next(enhanced)
            fault = fault_of(picture)
            png = None if fault else encoders.submit(encode_png, picture)
            yield _Made(one.sample, fault and f"enhanced is {fault}", png)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One picture as published; its levels are missing where there is none, and why."""

    sample: PlannedSample
    levels: Levels | None
    why: str | None


@dataclass(frozen=True, slots=True)
class _Made:
    sample: PlannedSample
    why: str | None
    png: Future[Picture] | None


def _put(stage: ShardStage, batch: Sequence[_Made]) -> None:
    """Append what was made to the shard; waits for what is still being encoded."""
    for made in batch:
        if made.png is None:
            stage.fail(made.sample, made.why or "no picture")
        else:
            stage.add(made.sample, {"enhanced": made.png.result()})


def _ahead(begun: Iterator[Future[_Shown]], count: int) -> Iterator[Future[_Shown]]:
    """Keep so many begun before they are asked for."""
    waiting = deque(islice(begun, count))
    return _drawn(waiting, begun)


def _drawn(
    waiting: deque[Future[_Shown]], begun: Iterator[Future[_Shown]]
) -> Iterator[Future[_Shown]]:
    while waiting:
        one = waiting.popleft()
        waiting.extend(islice(begun, 1))
        yield one


def _shared(record: GeneratorRecord) -> StageImage:
    """What all enhanced pictures share."""
    model = record.models["enhanced"]
    return StageImage(
        seed=0, model=model.model, revision=model.revision, steps=1, guidance=0.0, strength=None
    )


def _coders(settings: EnhanceSettings) -> int:
    """Threads that decode, and as many that encode: as many as the network has to be kept fed by.

    A GPU makes hundreds of pictures a second, which takes all the processors that there are.
    """
    if settings.device == "cpu":
        return 2
    return max(2, min(_MOST_CODERS, len(os.sched_getaffinity(0))))
