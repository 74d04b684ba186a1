"""Which samples a later stage takes: the file that curation writes and later stages read."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from schemas.records import column, record_schema

# In the file's metadata: fingerprint of what the dataset was made by.
OF_KEY = b"relume.dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """One audited sample, and whether it is taken."""

    id: str
    selected: bool
    reason: str | None


SELECTION_SCHEMA = record_schema(
    "selected",
    1,
    [
        column("id", pa.string(), "sample id"),
        column("selected", pa.bool_(), "whether later stages take it"),
        column("reason", pa.string(), "why it is not taken, null where it is", nullable=True),
    ],
)
