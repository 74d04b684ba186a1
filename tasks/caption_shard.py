"""Captioning the pictures of one shard or chunk, and staging the rows."""

from __future__ import annotations

import socket
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from models.captioner.clip_length import (
    MOST_TOKENS,
    ClipLength,
    clip_tokenizer_files,
    clip_tokenizer_folder,
)
from models.captioner.llava import (
    Captioner,
    Said,
    captioner_files,
    captioner_folder,
    load_captioner,
)
from models.captioner.templates import prompt_of
from schemas.caption import CAPTION_SCHEMA, CaptionRecord, CaptionRow, CaptionSettings
from schemas.endings import CannotGoOn
from schemas.lease import Lease, StagedShard, Turn
from schemas.records import to_row
from shards.provenance import code_version, library_versions, processor
from shards.staging import stage_rows
from tasks.captions.inputs import CaptionInput, DatasetInput, FolderInput, Pictured
from tasks.captions.texts import in_one_line, judged
from tasks.published_pictures import Undecodable

# Decoding lets go of the interpreter, so a few threads keep the model fed.
_DECODERS = 4
_FINGERPRINT = 12


@dataclass(frozen=True, slots=True)
class CaptionConfig:
    """What a worker is told: where captions and pictures lie, and what captions are made by."""

    root: str
    pictures: str
    record: CaptionRecord


@dataclass(frozen=True, slots=True)
class _Read:
    """A picture that was read, or why it could not be."""

    of: Pictured
    levels: NDArray[np.uint8] | None
    sha256: str | None
    why: str | None


def caption_weights(settings: CaptionSettings) -> dict[str, str]:
    """The sha256 of every file of the model."""
    return dict(captioner_files(captioner_folder(settings.model, settings.revision)))


def clip_files(settings: CaptionSettings) -> dict[str, str]:
    """The sha256 of every file of the tokenizer that counts; nothing without one."""
    if settings.clip_tokenizer is None:
        return {}
    return dict(clip_tokenizer_files(clip_tokenizer_folder(settings.clip_tokenizer)))


def clip_length(settings: CaptionSettings) -> ClipLength | None:
    """What counts CLIP's tokens, where a tokenizer is named."""
    if settings.clip_tokenizer is None:
        return None
    return ClipLength(clip_tokenizer_folder(settings.clip_tokenizer))


def input_of(pictures: Path, root: Path, record: CaptionRecord) -> CaptionInput:
    """Where the pictures of these captions come from."""
    if record.stage is not None:
        return DatasetInput(pictures, record.stage)
    assert record.photos is not None
    return FolderInput(pictures, root, record.photos, record.settings.chunk)


class CaptionShard:
    """The worker that captions shards."""

    def __init__(self, config: CaptionConfig) -> None:
        self._root, self._record = Path(config.root), config.record
        self._settings = config.record.settings
        self._input = input_of(Path(config.pictures), self._root, config.record)
        self._captioner: Captioner | None = None
        self._count: ClipLength | None = None

    def setup(self) -> dict[str, str]:
        """Load the model; CannotGoOn where it is not that of captions.json."""
        settings = self._settings
        self._input.look()
        found = caption_weights(settings), clip_files(settings)
        if found != (self._record.weights, self._record.clip):
            raise CannotGoOn(
                f"{socket.gethostname()} has another model or tokenizer than the driver; give all "
                "nodes the same files"
            )
        folder = captioner_folder(settings.model, settings.revision)
        self._captioner = load_captioner(folder, settings.device, settings.dtype)
        self._count = clip_length(settings)
        on = torch.cuda.get_device_name() if settings.device == "cuda" else processor()
        return {"code": code_version(), "processor": on, **library_versions()}

    def run(self, lease: Lease, turn: Turn) -> StagedShard:
        """Caption one shard."""
        with ThreadPoolExecutor(_DECODERS) as decoders:
            # The first batches are decoded while the lease before still has its turn.
            read = self._read_ahead(decoders, self._input.pictured(lease.shard))
            with turn:
                begun = time.monotonic()
                # Of this thread alone, and a lease may come in another than the last one.
                torch.set_num_threads(self._settings.threads)
                rows: list[CaptionRow] = []
                while batch := list(islice(read, self._settings.batch_size)):
                    rows += self._rows(batch, lease.shard)
        failures = Counter(row.reason for row in rows if row.status == "error" and row.reason)
        return stage_rows(
            self._root,
            lease,
            pa.Table.from_pylist([to_row(one) for one in rows], schema=CAPTION_SCHEMA),
            failures,
            made_by=self._record.fingerprint(),
            begun=begun,
        )

    def _read_ahead(
        self, decoders: ThreadPoolExecutor, pictured: Sequence[Pictured]
    ) -> Iterator[_Read]:
        begun = (decoders.submit(self._read, one) for one in pictured)
        waiting: deque[Future[_Read]] = deque(islice(begun, 2 * self._settings.batch_size))
        return _drawn(waiting, begun)

    def _read(self, one: Pictured) -> _Read:
        try:
            levels, digits = self._input.levels(one)
        except Undecodable as error:
            return _Read(one, None, one.sha256, str(error))
        return _Read(one, levels, digits, None)

    def _rows(self, batch: Sequence[_Read], shard: str) -> Iterator[CaptionRow]:
        assert self._captioner is not None, "setup() comes first"
        levels = [one.levels for one in batch if one.levels is not None]
        said: Iterator[Said] = iter(())
        if levels:
            prompts = [prompt_of(self._settings.question)] * len(levels)
            said = iter(self._captioner(levels, prompts, self._settings.max_new_tokens))
        told = [None if one.levels is None else next(said) for one in batch]
        captions = [None if one is None else in_one_line(one.text) for one in told]
        counts = self._counts([one for one in captions if one is not None])
        for read, one, caption in zip(batch, told, captions, strict=True):
            tokens = None if caption is None else next(counts)
            yield self._row(read, shard, one, caption, tokens)

    def _counts(self, captions: Sequence[str]) -> Iterator[int | None]:
        return iter([None] * len(captions) if self._count is None else self._count(captions))

    def _row(
        self, read: _Read, shard: str, said: Said | None, caption: str | None, tokens: int | None
    ) -> CaptionRow:
        status, reason = ("error", read.why)
        if said is not None and caption is not None:
            status, reason = judged(caption, cut=said.cut)
        return CaptionRow(
            id=read.of.id,
            shard=shard,
            path=read.of.path,
            picture_sha256=read.sha256,
            status=status,  # type: ignore[arg-type]
            reason=reason,
            caption=caption,
            said=said.text if said else None,
            num_tokens=said.num_tokens if said else None,
            clip_tokens=tokens,
            clip_cut=None if tokens is None else tokens > MOST_TOKENS,
            review=None,
            captioner=self._record.fingerprint()[:_FINGERPRINT],
        )


def _drawn(waiting: deque[Future[_Read]], begun: Iterator[Future[_Read]]) -> Iterator[_Read]:
    while waiting:
        one = waiting.popleft()
        waiting.extend(islice(begun, 1))
        yield one.result()
