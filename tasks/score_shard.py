"""Scoring the faces in the pictures of one shard or chunk, and staging what was found."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from schemas.endings import CannotGoOn
from schemas.facescore import FACE_SCORE_SCHEMA, FaceScoreRecord, FaceScoreRow
from schemas.lease import Lease, StagedShard, Turn
from schemas.records import to_row
from schemas.sample import Stage
from shards.provenance import code_version, library_versions, processor
from shards.staging import stage_rows
from tasks.captions.inputs import CaptionInput, DatasetInput, FolderInput, Pictured
from tasks.facescore.faces import CutFaces, FaceScore, Picture, scorer_weights
from tasks.published_pictures import Undecodable

# Decoding lets go of the interpreter, so a thread keeps the detector fed.
_DECODERS = 2
# Pictures that are in memory at once.
_TOGETHER = 32
_FINGERPRINT = 12
_Decoded = tuple[Picture | str, str | None]


@dataclass(frozen=True, slots=True)
class ScoreConfig:
    """What a worker is told: where scores, pictures and scorer lie, and what is to be done."""

    root: str
    pictures: str
    scorer: str
    record: FaceScoreRecord


def inputs_of(
    pictures: Path, root: Path, record: FaceScoreRecord
) -> dict[Stage | None, CaptionInput]:
    """Where the pictures come from: of a dataset by stage, of files under None."""
    if record.photos is None:
        return {stage: DatasetInput(pictures, stage) for stage in record.stages}
    assert record.chunk is not None
    return {None: FolderInput(pictures, root, record.photos, record.chunk)}


class ScoreShard:
    """The worker that scores the faces of shards."""

    def __init__(self, config: ScoreConfig) -> None:
        self._root = Path(config.root)
        self._record, self._place = config.record, Path(config.scorer)
        self._inputs = inputs_of(Path(config.pictures), self._root, config.record)
        self._score = FaceScore(config.record.settings, self._place)

    def setup(self) -> dict[str, str]:
        """Load the models; CannotGoOn where they are not those of facescore.json."""
        for pictures in self._inputs.values():
            pictures.look()
        if scorer_weights(self._record.settings, self._place) != self._record.weights:
            raise CannotGoOn(
                f"{socket.gethostname()} has other weights than the driver; "
                "give all nodes the same files"
            )
        self._score.load()
        return {"code": code_version(), "processor": processor(), **library_versions()}

    def run(self, lease: Lease, turn: Turn) -> StagedShard:
        """Score one shard."""
        with turn:
            begun = time.monotonic()
            found = [row for stage in self._inputs for row in self._rows(lease.shard, stage)]
        failures = Counter(one.reason for one in found if one.status == "error" and one.reason)
        return stage_rows(
            self._root,
            lease,
            pa.Table.from_pylist([to_row(one) for one in found], schema=FACE_SCORE_SCHEMA),
            failures,
            made_by=self._record.fingerprint(),
            begun=begun,
        )

    def _rows(self, shard: str, stage: Stage | None) -> Iterator[FaceScoreRow]:
        pictures = self._inputs[stage]
        asked = pictures.pictured(shard)
        # Crops of the whole shard wait for each other, so that batches are full; pictures do not.
        found: list[CutFaces | str] = []
        sums: list[str | None] = []
        for picture, digits in self._decoded(pictures, asked):
            found.append(picture if isinstance(picture, str) else self._score.find(picture))
            sums.append(digits)
        for of, digits, one in zip(asked, sums, self._score.score_found(found), strict=True):
            yield FaceScoreRow(
                id=of.id,
                shard=None if stage is None else shard,
                stage=stage,
                picture_sha256=digits,
                scorer=self._record.fingerprint()[:_FINGERPRINT],
                **one.columns(),
            )

    def _decoded(self, pictures: CaptionInput, asked: Sequence[Pictured]) -> Iterator[_Decoded]:
        with ThreadPoolExecutor(_DECODERS) as decoders:
            for start in range(0, len(asked), _TOGETHER):
                window = asked[start : start + _TOGETHER]
                yield from decoders.map(lambda one: _picture(pictures, one), window)


def _picture(pictures: CaptionInput, one: Pictured) -> _Decoded:
    """The levels of a picture, or why there are none; and the sha256 of its bytes."""
    try:
        return pictures.levels(one)
    except Undecodable as error:
        return str(error), one.sha256
