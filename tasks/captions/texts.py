"""What the text of a caption says about itself: refusals, nothing at all, twins, openings.

Pure functions of texts; a change of a pattern is another version of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from schemas.caption import CaptionStatus

REFUSALS_VERSION = "1"
_I = r"\b(?:i|we)\b"
# By the first person, so that "she cannot see" is no refusal.
REFUSALS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "is sorry": r"\b(?:i'm|i am|we are|we're) (?:very |so |really )?sorry\b"
        r"|^\W*(?:sorry|apologies|my apologies)\b|\bi apologi[sz]e\b",
        "is a machine": r"\bas an? (?:ai|a\.i\.|artificial|large language|language|machine)\b"
        r"|\b(?:i'm|i am) (?:just |only )?an? (?:ai|artificial|large language|language)\b",
        "cannot": rf"{_I} (?:cannot|can't|can not|could not|couldn't|am unable|am not able"
        r"|won't|will not|must decline|do not have|don't have)\b|\b(?:i'm|i am) (?:unable|not able"
        r"|not comfortable|not permitted|not allowed)\b",
        "sees no picture": r"\bno (?:image|picture|photo|photograph) (?:was|is|has been|has) ?"
        r"(?:provided|attached|given|visible|uploaded|shown)?"
        r"|\b(?:provide|upload|attach|share) (?:an?|the|your) (?:image|picture|photo)",
    }.items()
}
_OPENING_WORDS = 3


def in_one_line(text: str) -> str:
    """A text as a caption has it: spaces for every space, none at its ends."""
    return " ".join(text.split())


def judged(caption: str, *, cut: bool) -> tuple[CaptionStatus, str | None]:
    """The status of a caption by itself, and the reason where it is not ok."""
    if not re.search(r"\w", caption):
        return "empty", "says nothing"
    plain = caption.replace("\u2019", "'")
    for name, pattern in REFUSALS.items():
        if pattern.search(plain):
            return "refusal", f"refusal: {name}"
    return ("cut_off", "cut off at max_new_tokens") if cut else ("ok", None)


def twin_key(caption: str) -> str:
    """Equal for captions that differ in nothing but capitals, spaces and punctuation."""
    return " ".join(re.findall(r"\w+", caption.casefold()))


def openings(captions: Sequence[str], most: int) -> list[tuple[str, int]]:
    """The most frequent first three words, by count and then by name."""
    found = Counter(" ".join(twin_key(one).split()[:_OPENING_WORDS]) for one in captions)
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))[:most]
