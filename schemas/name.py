"""A person's name that may enter a prompt."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from schemas.records import column, record_schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One distinct full name, with the person of lowest nconst who bears it."""

    nconst: str
    name: str
    birth_year: int | None
    professions: list[str]


NAME_SCHEMA = record_schema(
    "name",
    1,
    [
        column("nconst", pa.string(), "IMDb's identifier of the person, nm and digits"),
        column("name", pa.string(), "full name of two or more words, Unicode NFC, single spaces"),
        column("birth_year", pa.int16(), "year of birth, null where IMDb has none", nullable=True),
        column("professions", pa.list_(pa.string()), "primary professions in IMDb's order"),
    ],
)
