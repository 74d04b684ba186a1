"""The part of `relume evaluate` that looks at pictures: looks as leases, published in a store."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console, counted, duration
from workflows.deadline import parse_deadline
from workflows.workers import Work, WorkerArguments, fill, shard_leases

if TYPE_CHECKING:
    from schemas.measure import FeatureNumerics, SeenBy
    from tasks.evaluation.dataset import Dataset
    from tasks.evaluation.rows import Row
    from tasks.features.places import LookPlace
    from tasks.features.store import Covered


@dataclass(frozen=True, slots=True)
class Looking:
    """What is to be looked at: each row's looks, and every look's place and shards by its key."""

    covered: Mapping[str, Covered]
    places: Mapping[str, LookPlace]
    stored: Sequence[str]

    def outstanding(self, store: Path) -> list[str]:
        """What nobody has looked at."""
        from shards.publish import published

        there = published(store, self.stored)
        return [one for one in self.stored if one not in there]


def looking(
    store: Path, rows: Sequence[Row], beside: Dataset, networks: Mapping[str, SeenBy]
) -> Looking:
    """The looks that show these rows to these networks."""
    from tasks.features.store import cover, stored_shard

    covered: dict[str, Covered] = {}
    places: dict[str, LookPlace] = {}
    stored: dict[str, None] = {}
    for row in rows:
        mine = cover(store, row.view(beside), networks, row.dataset.shards)
        covered[row.name] = mine
        for key, look in mine.looks.items():
            places[key] = row.place(look, beside)
            stored |= dict.fromkeys(stored_shard(key, one) for one in row.dataset.shards)
    return Looking(covered, places, list(stored))


def look(
    arguments: WorkerArguments,
    store: Path,
    what: Looking,
    numerics: FeatureNumerics,
    console: Console,
) -> bool:
    """Look at what is outstanding; whether all of it is there then."""
    from schemas.part import parse_part
    from shards import filesystem
    from shards.owner import Owner
    from tasks.features.store import publish_look
    from workflows.filling import Filling

    if not what.outstanding(store):
        return True
    filesystem.make_folder(store)
    for key, place in what.places.items():
        for difference in publish_look(store, key, place.look):
            console.note(f"looked at elsewhere before, last digits may differ: {difference}")
    with Owner(store, parse_part(arguments.part)) as owner:
        filling = Filling(store, what.stored, owner, console)
        with filling.noting_its_end():
            filling.take_charge()
            made_by = {key: place.look.fingerprint() for key, place in what.places.items()}
            begun = what.outstanding(store)[0].partition("/")[0]
            outstanding = filling.outstanding(
                what.places[begun].look,
                retry_failed=arguments.retry_failed,
                mend="remove the store of features, or choose another --features",
                made_by=lambda shard: made_by[shard.partition("/")[0]],
            )
            if outstanding:
                deadline = parse_deadline(arguments.deadline, os.environ)
                work = _work(store, what, outstanding, numerics)
                fill(filling, arguments, deadline, work)
            seconds = filling.finish()
    _tell(console, filling.made["samples"], seconds)
    given_up = filling.given_up()
    if given_up:
        shard, error = next(iter(given_up.items()))
        console.warn(
            f"{counted(len(given_up), 'shard')} given up, for example {shard}: {error}; once that "
            "is mended, the same command with --retry-failed"
        )
    return not what.outstanding(store)


def _tell(console: Console, num_rows: int, seconds: float) -> None:
    if num_rows:
        console.note(f"{counted(num_rows, 'row')} of features in {duration(seconds)}")


def _work(store: Path, what: Looking, outstanding: list[str], numerics: FeatureNumerics) -> Work:
    from tasks.feature_shard import FeatureConfig, FeatureShard
    from tasks.features.networks import device_of

    return Work(
        worker=FeatureShard,
        config=FeatureConfig(str(store.absolute()), dict(what.places), numerics),
        leases=shard_leases(outstanding),
        num_leases=len(outstanding),
        total=_num_rows(what, outstanding),
        needs_gpu=numerics.device == "cuda" or device_of(numerics) == "cuda",
        what="looking",
        unit="rows",
    )


def _num_rows(what: Looking, outstanding: list[str]) -> int:
    """Rows that will come of what is outstanding: one for each picture, network and tap."""
    from shards.publish import published
    from tasks.features.store import looked_at, taps_of

    by_key: dict[str, list[str]] = {}
    for one in outstanding:
        key, shard = looked_at(one)
        by_key.setdefault(key, []).append(shard)
    total = 0
    for key, shards in by_key.items():
        place = what.places[key]
        pictures = sum(one.ok for one in published(Path(place.dataset), shards).values())
        total += pictures * sum(len(taps_of(one)) for one in place.look.seen_by.values())
    return total
