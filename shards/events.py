"""events.jsonl: what happened, appended by the driver; nothing reads it to decide anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.event import Event
from schemas.part import Part
from shards import filesystem


def events_path(dataset: Path, part: Part) -> Path:
    """The events of a part; a file each, since appending from two hosts may tear lines."""
    return dataset / ("events.jsonl" if part.count == 1 else f"events-{part.label}.jsonl")


def append(dataset: Path, part: Part, event: Event) -> None:
    """Note that something happened."""
    told = {key: value for key, value in asdict(event).items() if value not in (None, {})}
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **told}
    filesystem.append_line(events_path(dataset, part), json.dumps(line).encode())


def published_s(dataset: Path) -> float | None:
    """Seconds of the workers that made what is published; None where no event tells of a shard."""
    taken = [
        float(event["seconds"])
        for event in read(dataset)
        if event.get("kind") == "shard-published" and "seconds" in event
    ]
    return sum(taken) if taken else None


def read(dataset: Path) -> Iterator[dict[str, Any]]:
    """All events of a dataset; a line that a crash cut short is left out."""
    for path in sorted(dataset.glob("events*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue
