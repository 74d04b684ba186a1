"""Taking the features of one shard's pictures, and staging them; no distance is computed here."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.endings import CannotGoOn
from schemas.lease import Lease, StagedShard, Turn
from schemas.measure import FEATURE_SCHEMA, ONLY_TAP, FeatureRecord, FeatureRow
from schemas.records import to_table
from schemas.sample import Stage
from shards import layout
from shards.encoding import read_parquet
from shards.provenance import code_version, library_versions, processor
from shards.staging import stage_rows
from tasks.feature_networks import Network, load_network, weights_of
from tasks.published_pictures import Undecodable, published_picture

# Decoding lets go of the interpreter, so a thread keeps the network fed.
_DECODERS = 2


@dataclass(frozen=True, slots=True)
class FeatureConfig:
    """What a worker is told: where features and dataset lie, and what the features are."""

    root: str
    dataset: str
    record: FeatureRecord


@dataclass(frozen=True, slots=True)
class _Shown:
    """One picture as the network takes it; nothing where it cannot be decoded, and why."""

    row: Mapping[str, Any]
    prepared: Any
    why: str | None


class FeatureShard:
    """The worker that takes features."""

    def __init__(self, config: FeatureConfig) -> None:
        self._root, self._dataset = Path(config.root), Path(config.dataset)
        self._record = config.record
        self._network: Network | None = None

    def setup(self) -> dict[str, str]:
        """Load the network; CannotGoOn where it is not that of features.json."""
        if weights_of(self._record.settings) != self._record.weights:
            raise CannotGoOn(
                f"{socket.gethostname()} has other weights than the driver; "
                "give all nodes the same files"
            )
        self._network = load_network(self._record.settings)
        return {"code": code_version(), "processor": processor(), **library_versions()}

    def run(self, lease: Lease, turn: Turn) -> StagedShard:
        """Take the features of one shard."""
        with turn:
            begun = time.monotonic()
            rows = read_parquet(layout.rows_path(self._dataset, lease.shard)).to_pylist()
            made = [row for row in rows if row["status"] == "ok"]
            found = [row for stage in self._record.stages for row in self._stage(made, stage)]
        failures = Counter(one.reason for one in found if one.reason)
        return stage_rows(
            self._root,
            lease,
            to_table(found, FEATURE_SCHEMA),
            failures,
            made_by=self._record.fingerprint(),
            begun=begun,
        )

    def _stage(self, made: list[dict[str, Any]], stage: Stage) -> Iterator[FeatureRow]:
        assert self._network is not None, "setup() comes first"
        with ThreadPoolExecutor(_DECODERS) as decoders:
            shown = decoders.map(lambda row: self._show(row, stage), made)
            for batch in _together(shown, self._record.settings.batch_size):
                seen = [one.prepared for one in batch if one.why is None]
                by_tap = self._network.features(seen) if seen else {}
                places = iter(range(len(seen)))
                for one in batch:
                    if one.why is not None:
                        yield _row(one, stage, ONLY_TAP, None)
                        continue
                    place = next(places)
                    for tap, features in by_tap.items():
                        yield _row(one, stage, tap, features[place])

    def _show(self, row: Mapping[str, Any], stage: Stage) -> _Shown:
        """One picture as published, brought to the network's size in a decoder's thread."""
        assert self._network is not None
        try:
            levels = published_picture(self._dataset, row, stage)
        except Undecodable as error:
            return _Shown(row, None, str(error))
        return _Shown(row, self._network.prepared(levels), None)


def _together(shown: Iterator[_Shown], count: int) -> Iterator[list[_Shown]]:
    while batch := list(islice(shown, count)):
        yield batch


def _row(shown: _Shown, stage: Stage, tap: int, features: NDArray[np.float32] | None) -> FeatureRow:
    why = shown.why
    if features is not None and not np.isfinite(features).all():
        features, why = None, "the network gave what is no number"
    return FeatureRow(
        id=shown.row["id"],
        shard=shown.row["shard"],
        stage=stage,
        picture_sha256=shown.row[f"{stage}_sha256"],
        status="error" if features is None else "ok",
        reason=why,
        tap=tap,
        features=None if features is None else features.tolist(),
    )
