"""The rule, for one block of name.basics: who is eligible, and why each other row is dropped.

Whole columns at a time, the cheapest and most selective filter first, as this decides how long the
reading of fourteen million rows takes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.name_rule import NameRule
from tasks.names.imdb_tables import Block, ImdbTable, has_number, identifier_numbers
from tasks.names.name_hash import Hashes, hash_names, ordered_by, text_of
from tasks.names.votes import Votes

TABLE = "name.basics"
COLUMNS = ("nconst", "primaryName", "birthYear", "deathYear", "primaryProfession")
# Why a row is dropped, in the order in which the rule asks.
REASONS = {
    "malformed": "another number of columns than the header",
    "profession": "none of the professions",
    "unreadable": "nconst, year or text that cannot be read",
    "nameless": "no name",
    "control": "control or direction characters in the name",
    "one_word": "one word, not a full name",
    "born": "born outside the years, or not known when",
    "dead": "no longer alive",
    "votes": "votes outside the range",
    "duplicate": "same name as a person of lower nconst",
}
# Bytes of names that may have to be cleaned: ASCII controls, and what begins a letter up to U+00BF
# or from U+0300 on. The letters between neither are controls nor compose: they are their own NFC.
_ODD_BYTES = np.isin(np.arange(256), [*range(32), 0x7F, 0xC2, *range(0xCC, 256)])
_SPACE = ord(" ")
# Controls, directions and invisible formats, private use; not the joiners of Persian and Hindi.
_CONTROL = (
    r"[\x00-\x1f\x7f-\x9f\x{ad}\x{61c}\x{180e}\x{200b}\x{200e}\x{200f}\x{2028}-\x{202e}"
    r"\x{2060}-\x{206f}\x{feff}\x{fff9}-\x{fffd}\x{e000}-\x{f8ff}"
    r"\x{e0000}-\x{e007f}\x{f0000}-\x{10ffff}]"
)
_SPACES = r"\p{Zs}+"
_YEAR = "^[0-9]{1,4}$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligible:
    """What a block holds: its eligible people, their names' places, and the dropped rows."""

    num_read: int
    dropped: Counter[str]
    places: Hashes
    people: pa.RecordBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Sieve:
    """The rule, ready to be used on any block of the table in any order."""

    table: ImdbTable
    rule: NameRule
    seed: int
    votes: Votes | None = None

    def __call__(self, block: Block) -> Eligible:
        """The eligible people of a block of whole lines."""
        rows, malformed = self.table.parse(block, self._columns())
        kept = _Kept(rows, Counter(malformed=malformed))
        kept.only("profession", self._has_profession(rows["primaryProfession"]))
        kept.only("unreadable", self._is_readable(kept.rows))
        kept.only("nameless", pc.is_valid(kept.rows["primaryName"]))
        kept.set("primaryName", clean_names(kept.rows["primaryName"].view(pa.string())))
        kept.only("control", pc.is_valid(kept.rows["primaryName"]))
        kept.only("nameless", pc.not_equal(pc.binary_length(kept.rows["primaryName"]), 0))
        kept.only("one_word", pc.match_substring(kept.rows["primaryName"], " "))
        self._filter(kept)
        names = kept.rows["primaryName"]
        return Eligible(
            num_read=len(rows) + malformed,
            dropped=kept.dropped,
            places=ordered_by(hash_names(names), self.seed),
            people=kept.rows,
        )

    def _columns(self) -> dict[str, pa.DataType]:
        kinds = dict.fromkeys(COLUMNS, pa.binary())
        # Some thousand lists of professions are shared by millions of people.
        kinds["primaryProfession"] = pa.dictionary(pa.int32(), pa.binary())
        if not self.rule.alive:
            del kinds["deathYear"]
        return kinds

    def _has_profession(self, lists: pa.DictionaryArray) -> pa.Array:
        """Whether a person has a wanted profession; a list is looked at once, not per person."""
        wanted = f"(^|,)({'|'.join(self.rule.professions)})(,|$)"
        return pc.match_substring_regex(lists.dictionary, wanted).take(lists.indices)

    def _is_readable(self, rows: pa.RecordBatch) -> pa.Array:
        readable = has_number(rows["nconst"], "nm")
        years = [name for name in ("birthYear", "deathYear") if name in rows.schema.names]
        for column in (rows[name] for name in years):
            readable = pc.and_(readable, pc.match_substring_regex(column, _YEAR).fill_null(True))
        lists = rows["primaryProfession"]
        return pc.and_(
            pc.and_(readable, _is_utf8(rows["primaryName"])),
            _is_utf8(lists.dictionary).take(lists.indices),
        )

    def _filter(self, kept: _Kept) -> None:
        """The filters that the user has asked for."""
        rule = self.rule
        if rule.by_birth:
            born = kept.rows["birthYear"].cast(pa.string()).cast(pa.int16())
            kept.only("born", _between(born, rule.born_from, rule.born_to))
        if rule.alive:
            kept.only("dead", pc.is_null(kept.rows["deathYear"]))
        if rule.by_votes and self.votes is not None:
            numbers = identifier_numbers(kept.rows["nconst"], "nm").to_numpy()
            votes = pa.array(self.votes.of(numbers))
            kept.only("votes", _between(votes, rule.min_votes, rule.max_votes))


class _Kept:
    """Rows that every filter so far has let through, and a count of the others."""

    def __init__(self, rows: pa.RecordBatch, dropped: Counter[str]) -> None:
        self.rows, self.dropped = rows, dropped

    def only(self, reason: str, passes: pa.Array) -> None:
        """Keep the rows that pass; no answer is no."""
        failed = len(passes) - (passes.true_count or 0)
        if failed:
            self.dropped[reason] += failed
            self.rows = self.rows.filter(passes)

    def set(self, column: str, values: pa.Array) -> None:
        """Replace a column."""
        at = self.rows.schema.get_field_index(column)
        self.rows = self.rows.set_column(at, column, values)


def clean_names(names: pa.Array) -> pa.Array:
    """Names in NFC with single spaces; null for one with a control character."""
    odd = pa.array(_may_be_odd(names))
    if not odd.true_count:
        return names
    some = names.filter(odd)
    spaced = pc.replace_substring_regex(pc.utf8_normalize(some, "NFC"), _SPACES, " ")
    control = pc.match_substring_regex(some, _CONTROL)
    cleaned = pc.if_else(control, pa.scalar(None, pa.string()), pc.utf8_trim(spaced, " "))
    return pc.replace_with_mask(names, odd, cleaned)


def _may_be_odd(names: pa.Array) -> NDArray[np.bool_]:
    """Every name that cleaning would change, and a few more."""
    offsets, data = text_of(names)
    odd = _ODD_BYTES[data]
    space = data == _SPACE
    odd[1:] |= space[1:] & space[:-1]
    found = np.zeros(len(names), np.bool_)
    found[np.searchsorted(offsets, np.flatnonzero(odd), side="right") - 1] = True
    filled = np.flatnonzero(np.diff(offsets))
    found[filled] |= space[offsets[filled]] | space[offsets[filled + 1] - 1]
    return found


def _is_utf8(column: pa.Array) -> pa.Array:
    try:
        column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_decodes(value) for value in column.to_pylist()], pa.bool_())
    return pa.repeat(True, len(column))


def _decodes(text: bytes | None) -> bool:
    try:
        return text is None or text.decode() is not None
    except UnicodeDecodeError:
        return False


def _between(values: pa.Array, least: int | None, most: int | None) -> pa.Array:
    passes = pc.is_valid(values)
    if least is not None:
        passes = pc.and_(passes, pc.greater_equal(values, least))
    if most is not None:
        passes = pc.and_(passes, pc.less_equal(values, most))
    return passes
