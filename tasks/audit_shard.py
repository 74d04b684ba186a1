"""Looking at the pictures of one shard, and staging what was found in them."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from schemas.audit import AUDIT_SCHEMA, AuditRow, Finding
from schemas.audit_record import AuditRecord
from schemas.endings import CannotGoOn
from schemas.lease import Lease, StagedShard, Turn
from schemas.records import to_row
from schemas.sample import Stage
from shards import layout
from shards.encoding import read_parquet
from shards.provenance import code_version, library_versions, processor
from shards.staging import stage_rows
from tasks.audit.lookers import audit_weights, build_looker
from tasks.features.pair_distance import PairDistance
from tasks.published_pictures import Undecodable, published_picture

Picture = NDArray[np.uint8]
# Decoding lets go of the interpreter, so a thread keeps the analyser fed.
_DECODERS = 2
# Pictures that are looked at together, of one stage.
_TOGETHER = 32
_FINGERPRINT = 12
_PAIR: tuple[Stage, Stage] = ("source", "target")


@dataclass(frozen=True, slots=True)
class AuditConfig:
    """What a worker is told: where the audit and its dataset lie, and what the audit is."""

    root: str
    dataset: str
    record: AuditRecord


@dataclass(frozen=True, slots=True)
class _Shown:
    """One picture as published; its levels are missing where it cannot be decoded."""

    row: dict[str, Any]
    levels: Picture | None
    why: str | None


class AuditShard:
    """The worker that audits shards."""

    def __init__(self, config: AuditConfig) -> None:
        self._root, self._dataset = Path(config.root), Path(config.dataset)
        self._record = config.record
        self._looker = build_looker(config.record.settings, self._dataset)
        settings = config.record.settings
        self._distance = None if settings.lpips is None else PairDistance(settings)

    def setup(self) -> dict[str, str]:
        """Load the models; CannotGoOn where they are not those of audit.json."""
        weights = audit_weights(self._record.settings, self._looker)
        if weights != self._record.weights:
            raise CannotGoOn(
                f"{socket.gethostname()} has other weights than the driver; "
                "give all nodes the same files"
            )
        self._looker.load()
        if self._distance is not None:
            self._distance.load()
        return {"code": code_version(), "processor": processor(), **library_versions()}

    def run(self, lease: Lease, turn: Turn) -> StagedShard:
        """Audit one shard."""
        with turn:
            begun = time.monotonic()
            rows = read_parquet(layout.rows_path(self._dataset, lease.shard)).to_pylist()
            made = [row for row in rows if row["status"] == "ok"]
            seen = self._look(made)
            found = [one for stage in self._record.stages for one in seen[stage]]
        failures = Counter(one.reason for one in found if one.status == "error" and one.reason)
        return stage_rows(
            self._root,
            lease,
            pa.Table.from_pylist([to_row(one) for one in found], schema=AUDIT_SCHEMA),
            failures,
            made_by=self._record.fingerprint(),
            begun=begun,
        )

    def _look(self, made: Sequence[dict[str, Any]]) -> dict[Stage, list[AuditRow]]:
        """The rows of every stage; each picture is read and decoded once, whoever looks at it."""
        found: dict[Stage, list[AuditRow]] = {stage: [] for stage in self._record.stages}
        for shown in self._shown(made):
            rows = {stage: list(self._findings(shown[stage], stage)) for stage in found}
            if self._distance is not None and set(_PAIR) <= rows.keys():
                pairs = zip(rows["target"], shown["source"], shown["target"], strict=True)
                rows["target"] = [self._compared(*one) for one in pairs]
            for stage in found:
                found[stage] += rows[stage]
        return found

    def _shown(self, made: Sequence[dict[str, Any]]) -> Iterator[dict[Stage, list[_Shown]]]:
        """Some samples' pictures by stage; the next ones are decoded meanwhile."""
        waiting: dict[Stage, list[Future[_Shown]]] = {}
        with ThreadPoolExecutor(_DECODERS) as decoders:
            for start in range(0, len(made) + _TOGETHER, _TOGETHER):
                rows = made[start : start + _TOGETHER]
                begun = {
                    stage: [decoders.submit(self._show, row, stage) for row in rows]
                    for stage in self._record.stages
                }
                if waiting:
                    yield {stage: [one.result() for one in ones] for stage, ones in waiting.items()}
                waiting = begun

    def _findings(self, shown: Sequence[_Shown], stage: Stage) -> Iterator[AuditRow]:
        ids = [one.row["id"] for one in shown if one.levels is not None]
        pictures = [one.levels for one in shown if one.levels is not None]
        findings = dict(zip(ids, self._looker.findings(ids, pictures), strict=True))
        for one in shown:
            yield self._row(one, stage, findings.get(one.row["id"]))

    def _show(self, row: dict[str, Any], stage: Stage) -> _Shown:
        try:
            return _Shown(row, published_picture(self._dataset, row, stage), None)
        except Undecodable as error:
            return _Shown(row, None, str(error))

    def _row(self, shown: _Shown, stage: Stage, finding: Finding | None) -> AuditRow:
        finding = finding or Finding(status="error", reason=shown.why, num_faces=None, face=None)
        face = finding.face
        return AuditRow(
            id=shown.row["id"],
            shard=shown.row["shard"],
            stage=stage,
            picture_sha256=shown.row[f"{stage}_sha256"],
            status=finding.status,
            reason=finding.reason,
            num_faces=finding.num_faces,
            detector=self._looker.detector,
            box_x=face.box.x if face else None,
            box_y=face.box.y if face else None,
            box_width=face.box.width if face else None,
            box_height=face.box.height if face else None,
            confidence=face.confidence if face else None,
            age=face.age if face else None,
            age_probabilities=list(face.age_probabilities) if face else None,
            gender_probabilities=list(face.gender_probabilities) if face else None,
            ethnicity_probabilities=list(face.ethnicity_probabilities) if face else None,
            embedding=list(face.embedding) if face else None,
            sharpness=face.sharpness if face else None,
            picture_hash=None if shown.levels is None else picture_hash(shown.levels),
            analyser=self._record.fingerprint()[:_FINGERPRINT],
        )

    def _compared(self, row: AuditRow, source: _Shown, target: _Shown) -> AuditRow:
        """The target's row with its LPIPS, where there are two pictures to compare."""
        if self._distance is None or source.levels is None or target.levels is None:
            return row
        if row.status == "error":
            return row
        return replace(row, lpips=self._distance(source.levels, target.levels))


def picture_hash(levels: Picture) -> int:
    """64 signed bits: whether each of 8 x 8 places is darker than the one to its right."""
    small = Image.fromarray(levels).convert("L").resize((9, 8), Image.Resampling.BOX)
    grey = np.asarray(small).astype(np.int16)
    bits = np.packbits((grey[:, :-1] < grey[:, 1:]).ravel())
    return int.from_bytes(bits.tobytes(), "big", signed=True)
