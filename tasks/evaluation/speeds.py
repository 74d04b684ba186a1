"""How long a picture takes, read from the events of whoever made it; nothing is timed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from shards.events import read as read_events
from tasks.features.store import stored_shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Seconds of one worker for one picture, and where that is known from."""

    seconds: float
    told_by: str

    @property
    def per_second(self) -> float:
        """Pictures a second."""
        return 1 / self.seconds


def of_dataset(dataset: Path, num_stages: int) -> Speed | None:
    """The median over shards; None of a dataset of pairs, whose shards do not tell the two apart.

    A dataset that was copied without its events tells nothing either.
    """
    if num_stages != 1:
        return None
    taken = [
        event["seconds"] / event["facts"]["ok"]
        for event in read_events(dataset)
        if event.get("kind") == "shard-published" and event.get("facts", {}).get("ok")
    ]
    if not taken:
        return None
    told = f"events of {dataset.name}, median of {len(taken)} shards"
    return Speed(seconds=median(taken), told_by=told)


def of_change(store: Path, key: str, shards: Sequence[str]) -> Speed | None:
    """What a head or a filter took for a picture of these shards, the first shards included."""
    mine = {stored_shard(key, shard) for shard in shards}
    taken = [
        event["facts"]["change_s"] / event["facts"]["changed"]
        for event in read_events(store)
        if event.get("kind") == "shard-published"
        and event.get("shard") in mine
        and event.get("facts", {}).get("changed")
    ]
    if not taken:
        return None
    told = f"events of the evaluation, median of {len(taken)} shards"
    return Speed(seconds=median(taken), told_by=told)


def together(source: Speed | None, head: Speed | None) -> Speed | None:
    """What a source and a head take for one picture; None where either is unknown."""
    if source is None or head is None:
        return None
    told = f"{source.told_by}, and {head.told_by}"
    return Speed(seconds=source.seconds + head.seconds, told_by=told)
