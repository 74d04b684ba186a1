"""Looking at one shard's pictures, and staging the features; no distance is computed here."""

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
from schemas.measure import FEATURE_SCHEMA, ONLY_TAP, PROMPTED, FeatureNumerics, FeatureRow
from schemas.records import to_table
from shards import layout
from shards.encoding import read_parquet
from shards.provenance import code_version, library_versions, processor
from shards.staging import stage_rows
from tasks.features.beside import Beside
from tasks.features.networks import PAIRED, Network, device_of, load_network, weights_of
from tasks.features.places import Changing, LookPlace, PairReader, Picture, changing, read_picture
from tasks.features.prompted_networks import NO_PROMPT
from tasks.features.store import looked_at
from tasks.published_pictures import Undecodable

# Decoding lets go of the interpreter. Two threads feed a network on a processor; a GPU takes more,
# which are its worker's.
_DECODERS = 2
# What may be no number: there may be no face, and pictures of other sizes are not compared.
_MAY_LACK = ("pairs", "identity", "face_score")


@dataclass(frozen=True, slots=True)
class FeatureConfig:
    """What a worker is told: where features lie, and every look by its key."""

    root: str
    places: dict[str, LookPlace]
    numerics: FeatureNumerics


@dataclass(slots=True)
class _Shown:
    """One picture on its way: as read, as changed, as the networks take it; or why it is none."""

    row: Mapping[str, Any]
    sha256: str = ""
    picture: Picture | None = None
    beside: Beside | None = None
    prepared: dict[str, Any] | None = None
    why: str | None = None


class FeatureShard:
    """The worker that looks; networks and heads are loaded when a lease first needs them."""

    def __init__(self, config: FeatureConfig) -> None:
        self._config = config
        self._networks: dict[str, Network] = {}
        self._changes: dict[str, Changing | None] = {}
        self._readers: dict[str, PairReader] = {}
        self._device = "cpu"

    def setup(self) -> dict[str, str]:
        """Whether this node has the networks of the looks; CannotGoOn where it has others."""
        for place in self._config.places.values():
            for label, one in place.look.seen_by.items():
                if weights_of(one.network) != one.weights:
                    raise CannotGoOn(
                        f"{socket.gethostname()} has other weights of {label} than the driver; "
                        "give all nodes the same files"
                    )
        self._device = device_of(self._config.numerics)
        return {"code": code_version(), "processor": processor(), **library_versions()}

    def run(self, lease: Lease, turn: Turn) -> StagedShard:
        """Look at one shard."""
        key, shard = looked_at(lease.shard)
        place = self._config.places[key]
        with turn:
            begun = time.monotonic()
            rows = read_parquet(layout.rows_path(Path(place.dataset), shard)).to_pylist()
            made = [row for row in rows if row["status"] == "ok"]
            timed: list[tuple[int, float]] = []
            found = list(self._look(key, place, made, timed))
        failures = Counter(one.reason for one in found if one.status == "error" and one.reason)
        told = {"changed": sum(n for n, _ in timed), "change_s": sum(s for _, s in timed)}
        return stage_rows(
            Path(self._config.root),
            lease,
            to_table(found, FEATURE_SCHEMA),
            failures,
            made_by=place.look.fingerprint(),
            begun=begun,
            told=told if timed else {},
        )

    def _look(
        self, key: str, place: LookPlace, made: list[Any], timed: list[tuple[int, float]]
    ) -> Iterator[FeatureRow]:
        networks = {
            label: self._network(label, one.network) for label, one in place.look.seen_by.items()
        }
        change = self._change(key, place)
        reader = self._pairs(place)
        with ThreadPoolExecutor(max(_DECODERS, self._config.numerics.threads)) as pool:

            def read(row: Mapping[str, Any]) -> _Shown:
                shown = _read(place, row, reader)
                return shown if change else _prepare(shown, networks)

            for batch in _together(pool.map(read, made), self._config.numerics.batch_size):
                if change:
                    _apply(change, batch, timed)
                    list(pool.map(lambda one: _prepare(one, networks), batch))
                yield from _rows(batch, networks)

    def _network(self, label: str, settings: Any) -> Network:
        if label not in self._networks:
            self._networks[label] = load_network(settings, self._config.numerics)
        return self._networks[label]

    def _change(self, key: str, place: LookPlace) -> Changing | None:
        if key not in self._changes:
            self._changes[key] = changing(place, self._device)
        return self._changes[key]

    def _pairs(self, place: LookPlace) -> PairReader | None:
        if not any(one.network.kind in PAIRED for one in place.look.seen_by.values()):
            return None
        if place.beside not in self._readers:
            self._readers[place.beside] = PairReader(Path(place.beside))
        return self._readers[place.beside]


def _together(shown: Iterator[_Shown], count: int) -> Iterator[list[_Shown]]:
    while batch := list(islice(shown, count)):
        yield batch


def _read(place: LookPlace, row: Mapping[str, Any], reader: PairReader | None) -> _Shown:
    """One picture as published, and what stands beside it, in a decoder's thread."""
    try:
        picture, sha256 = read_picture(place, row)
        pair = None if reader is None else reader(row["id"])
    except Undecodable as error:
        return _Shown(row, why=str(error))
    except KeyError:
        return _Shown(row, why="has no source and target beside it")
    return _Shown(row, sha256, picture, Beside(row["prompt"], pair))


def _prepare(shown: _Shown, networks: Mapping[str, Network]) -> _Shown:
    if shown.picture is not None and shown.beside is not None:
        try:
            shown.prepared = {
                label: network.prepared(shown.picture, shown.beside)
                for label, network in networks.items()
            }
        except ValueError as error:
            # Too small, for example: a finding about this picture.
            shown.why = str(error)
        shown.picture = None
    return shown


def _apply(change: Changing, batch: list[_Shown], timed: list[tuple[int, float]]) -> None:
    """Change the pictures of a batch, and note how long that took."""
    there = [one for one in batch if one.picture is not None]
    pictures = [one.picture for one in there if one.picture is not None]
    if not pictures:
        return
    ids = [one.row["id"] for one in there]
    begun = time.perf_counter()
    made = change(pictures, ids)
    timed.append((len(made), time.perf_counter() - begun))
    for one, picture in zip(there, made, strict=True):
        one.picture = picture


def _rows(batch: list[_Shown], networks: Mapping[str, Network]) -> Iterator[FeatureRow]:
    """Each picture's rows: one for every network and tap, or one that says why there is none."""
    seen = [one for one in batch if one.why is None]
    found = {
        label: network.features([one.prepared[label] for one in seen if one.prepared])
        for label, network in networks.items()
        if seen
    }
    places = iter(range(len(seen)))
    for one in batch:
        if one.why is not None:
            yield from (_row(one, label, ONLY_TAP, None) for label in networks)
            continue
        place = next(places)
        for label, by_tap in found.items():
            for tap, features in by_tap.items():
                yield _row(one, label, tap, features[place])


def _row(shown: _Shown, label: str, tap: int, features: NDArray[np.floating] | None) -> FeatureRow:
    why = shown.why
    if features is not None and label not in _MAY_LACK and not np.isfinite(features).all():
        if label in PROMPTED and not shown.row["prompt"].strip():
            why = NO_PROMPT  # a finding: other networks' numbers of this picture stand
        else:
            features, why = None, "the network gave what is no number"
    return FeatureRow(
        id=shown.row["id"],
        shard=shown.row["shard"],
        picture_sha256=shown.sha256,
        status="error" if features is None else "ok",
        reason=why,
        network=label,
        tap=tap,
        places=len(features) if features is not None and features.ndim > 1 else 1,
        features=None if features is None else features.ravel().tolist(),
    )
