"""A study of people's choices between pictures: what is shown together, and what stands for what.

study.json stays with whoever runs the study. The page that raters get knows codes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from schemas.settings import FILLED, POSITIVE, as_plain, fingerprint, settings

TrialKind = Literal["choice", "catch"]
# What stands for the spoilt picture of a catch trial, where a row's name stands otherwise.
SPOILT = "(spoilt)"
FEWEST_TOGETHER, MOST_TOGETHER = 2, 3


@settings
class Trial:
    """Pictures of one sample that are shown together."""

    id: Annotated[str, FILLED]
    """code of the trial"""
    kind: TrialKind
    """a choice between rows, or a catch trial, whose answer is known"""
    sample: Annotated[str, FILLED]
    """which sample the pictures are of"""
    pictures: dict[str, str]
    """the row of each picture by the picture's code"""


@settings
class Study:
    """study.json: fixed when the page is made."""

    record: Literal["study"] = "study"
    """which record this is"""
    version: Literal[1] = 1
    """version of this record"""
    question: Annotated[str, FILLED]
    """what a rater is asked of each trial"""
    rows: tuple[str, ...]
    """what is compared"""
    trials: tuple[Trial, ...]
    """everything that is shown to every rater"""
    repeats: tuple[str, ...]
    """trials of choice that each rater is asked twice"""
    together: Annotated[int, POSITIVE]
    """pictures of a trial of choice"""
    seed: int
    """of the draw of samples and of rows"""

    def key(self) -> str:
        """Stands in every rating: a rating of another study is not of this one."""
        return fingerprint(as_plain(self))[:12]

    @staticmethod
    def _some_rows(rows: tuple[str, ...], together: int) -> Iterator[str]:
        if not FEWEST_TOGETHER <= together <= MOST_TOGETHER:
            yield f"together = {together}: should be {FEWEST_TOGETHER} or {MOST_TOGETHER}"
        if len(set(rows)) != len(rows) or len(rows) < together:
            yield f"rows = {', '.join(rows)}: should be at least {together} different ones"
