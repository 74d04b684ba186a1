"""What a procedural portrait shows, as its painter knows it: the truth an audit is checked against.

The words for gender, age and ethnicity are those of the audit; here they are parameters of a
drawing, and say nothing about people.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from schemas.records import column, record_schema

GENDERS = ("man", "woman")
AGE_GROUPS = ("18-30", "31-50", "51+")
ETHNICITIES = ("asian", "black", "indian", "latino hispanic", "middle eastern", "white")
HAIR_STYLES = ("bald", "short", "curly", "bob", "long", "tied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The attributes of one procedural portrait."""

    id: str
    gender: str
    age: int
    age_group: str
    ethnicity: str
    skin_tone: float
    hair_style: str
    beard: float
    glasses: bool
    light: float
    gap: float | None


TRUTH_SCHEMA = record_schema(
    "truth",
    1,
    [
        column("id", pa.string(), "sample id"),
        column("gender", pa.string(), "man or woman"),
        column("age", pa.int16(), "age in years"),
        column("age_group", pa.string(), "18-30, 31-50 or 51+"),
        column("ethnicity", pa.string(), "one of the audit's six groups"),
        column("skin_tone", pa.float32(), "0 the lightest, 1 the darkest"),
        column("hair_style", pa.string(), "bald, short, curly, bob, long or tied"),
        column("beard", pa.float32(), "0 none, below 0.2 stubble, 1 the fullest"),
        column("glasses", pa.bool_(), "whether it wears glasses"),
        column("light", pa.float32(), "where light comes from: -1 the left, 1 the right"),
        column(
            "gap",
            pa.float32(),
            "strength of this target's gap, null without a target",
            nullable=True,
        ),
    ],
)
