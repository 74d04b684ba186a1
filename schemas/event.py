"""What happened while a dataset was made: a line each in events.jsonl.

Events hold what differs from run to run (attempts, hosts, seconds), so that rows need not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

EventKind = Literal[
    "run-started",
    "run-finished",
    "run-stopped",
    "took-over",
    "stack-differs",
    "set-aside",
    "shard-published",
    "shard-taken",
    "lease-failed",
    "lease-quarantined",
    "worker-lost",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened."""

    kind: EventKind
    shard: str | None = None
    attempt: int | None = None
    seconds: float | None = None
    facts: dict[str, str | int | float] = field(default_factory=dict)
