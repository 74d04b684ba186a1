"""The log of a dataset's openings: when test was looked at, by which code, for which rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shards import filesystem, layout


def note_opening(dataset: Path, facts: Mapping[str, Any]) -> None:
    """Append a line beside the dataset; an OSError where that cannot be done."""
    line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **facts}
    filesystem.append_line(dataset / layout.OPENINGS, json.dumps(line, ensure_ascii=False).encode())


def openings(dataset: Path) -> Iterator[dict[str, Any]]:
    """All openings, the first one first."""
    path = dataset / layout.OPENINGS
    for line in path.read_bytes().splitlines() if path.exists() else ():
        yield json.loads(line)
