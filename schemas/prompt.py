"""A prompt of a published collection that pictures are made for."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from schemas.records import column, record_schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt, and what kind it is."""

    id: str
    prompt: str
    category: str


PROMPT_SCHEMA = record_schema(
    "prompt",
    1,
    [
        column("id", pa.string(), "collection and number there: letters, digits, - and _"),
        column("prompt", pa.string(), "the whole prompt, on one line, single spaces"),
        column("category", pa.string(), "MJHQ's category, or people of COCO's captions"),
    ],
)
