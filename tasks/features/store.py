"""Features that are kept: which looks a store has, what is still to be looked at, and reading.

A store is any folder. A look lies in a folder of its own, named by the first digits of its
fingerprint: the same pictures, seen by the same networks, are never looked at twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.measure import ONLY_TAP, InceptionSettings, Look, SeenBy, View
from shards import filesystem, layout
from shards.encoding import read_parquet
from shards.provenance import code_version, library_versions, processor
from shards.publish import published
from shards.record_file import agree_on_record, read_record

LOOK = "look.json"
_DIGITS = 16


def stored_shard(key: str, shard: str) -> str:
    """The name in the store of what a look found in a shard of a dataset."""
    return f"{key}/{shard.replace('/', '-', 1)}"


def looked_at(stored: str) -> tuple[str, str]:
    """The look's key, and the shard of the dataset."""
    key, _, shard = stored.partition("/")
    return key, shard.replace("-", "/", 1)


@dataclass(frozen=True, slots=True)
class Covered:
    """The looks that together show a view to all networks: by label, the key of the look."""

    view: View
    by_label: Mapping[str, str]
    looks: Mapping[str, Look]


def cover(
    store: Path, view: View, networks: Mapping[str, SeenBy], shards: Sequence[str]
) -> Covered:
    """What shows this view to these networks: looks that are there, and one of what is missing."""
    by_label: dict[str, str] = {}
    looks: dict[str, Look] = {}
    for key, look in looks_of(store).items():
        if look.view != view:
            continue
        if not look.seen_by.keys() <= networks.keys() and not _is_whole(store, key, shards):
            # What is missing of it would be seen by networks that nobody asks for now.
            continue
        for label, one in look.seen_by.items():
            wanted = networks.get(label)
            if wanted and label not in by_label and wanted.what_it_is() == one.what_it_is():
                by_label[label] = key
                # Where weights lie is told by the settings of today.
                looks[key] = _seen_now(look, networks)
    missing = {label: one for label, one in networks.items() if label not in by_label}
    if missing:
        look = Look(
            view=view,
            seen_by=missing,
            code=code_version(),
            libraries=library_versions(),
            processor=processor(),
        )
        key = look.fingerprint()[:_DIGITS]
        looks[key] = look
        by_label |= dict.fromkeys(missing, key)
    return Covered(view, by_label, looks)


def publish_look(store: Path, key: str, look: Look) -> list[str]:
    """Make a look exist, or agree with the one that is there; what may differ and does."""
    filesystem.make_folder(store / key)
    told = "is of another look whose name begins alike; choose another --features"
    return agree_on_record(store / key / LOOK, look, told)


def looks_of(store: Path) -> dict[str, Look]:
    """The looks of a store by their keys."""
    paths = sorted(store.glob(f"*/{LOOK}"))
    return {path.parent.name: read_record(path, Look) for path in paths}


def failures_of(store: Path, covered: Covered, shards: Sequence[str]) -> dict[str, str]:
    """The ids of pictures that some network has no features of, and why."""
    found: dict[str, str] = {}
    for key in covered.looks:
        for shard in shards:
            table = _rows(store, key, shard, ["id", "status", "reason", "network"])
            wrong = table.filter(pc.equal(table["status"], "error"))
            found |= dict(zip(wrong["id"].to_pylist(), wrong["reason"].to_pylist(), strict=True))
    return found


def features_of(
    store: Path, covered: Covered, shards: Sequence[str], ids: Sequence[str], label: str, tap: int
) -> NDArray[np.float32]:
    """Features (N, D) of these samples in this order; (N, places, D) where a network has places.

    KeyError names a sample that was not looked at.
    """
    key = covered.by_label[label]
    found: dict[str, NDArray[np.float32]] = {}
    places = 1
    for shard in shards:
        table = _rows(store, key, shard, ["id", "network", "tap", "places", "features"])
        mine = pc.and_(pc.equal(table["network"], label), pc.equal(table["tap"], tap))
        table = table.filter(pc.and_(mine, pc.is_valid(table["features"])))
        if not table.num_rows:
            continue
        places = table["places"][0].as_py()
        flat = np.asarray(table["features"].combine_chunks().flatten(), np.float32)
        rows = flat.reshape(table.num_rows, -1)
        found |= dict(zip(table["id"].to_pylist(), rows, strict=True))
    together = np.stack([found[one] for one in ids])
    return together.reshape(len(ids), places, -1) if places > 1 else together


def taps_of(network: SeenBy) -> tuple[int, ...]:
    """The taps that a network's rows have."""
    if isinstance(network.network, InceptionSettings):
        return network.network.taps
    return (ONLY_TAP,)


def _rows(store: Path, key: str, shard: str, columns: list[str]) -> pa.Table:
    return read_parquet(layout.rows_path(store, stored_shard(key, shard)), columns)


def _is_whole(store: Path, key: str, shards: Sequence[str]) -> bool:
    stored = [stored_shard(key, shard) for shard in shards]
    return len(published(store, stored)) == len(stored)


def _seen_now(look: Look, networks: Mapping[str, SeenBy]) -> Look:
    return Look(
        view=look.view,
        seen_by={
            label: networks[label]
            if label in networks and networks[label].what_it_is() == one.what_it_is()
            else one
            for label, one in look.seen_by.items()
        },
        code=look.code,
        libraries=look.libraries,
        processor=look.processor,
    )
