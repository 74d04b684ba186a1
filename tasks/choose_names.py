"""Chooses distinct full names out of IMDb's name.basics; knows no console and writes nothing.

The choice depends on the names that pass the rule and on the seed, not on the order of the file,
the size of a block or the number of threads. A smaller count gives the first rows of a larger one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.name import NAME_SCHEMA
from schemas.name_rule import NameRule
from tasks.names.best import BestNames, DistinctCount
from tasks.names.eligible_people import COLUMNS, REASONS, TABLE, Eligible, Sieve
from tasks.names.imdb_tables import BLOCK_BYTES, Block, ImdbTable, Progress, identifier_numbers
from tasks.names.votes import Votes


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Where every row of the table went: read = the dropped ones + distinct names."""

    num_read: int
    dropped: dict[str, int]
    num_distinct: int
    num_chosen: int


class TooFewNamesError(ValueError):
    """More names were asked for than pass the rule; `summary` says where the others went."""

    def __init__(self, message: str, summary: Summary) -> None:
        super().__init__(message)
        self.summary = summary


def choose_names(
    path: Path,
    rule: NameRule,
    *,
    count: int | None,
    seed: int,
    votes: Votes | None = None,
    progress: Progress | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> tuple[pa.Table, Summary]:
    """The names of this count and seed as NAME_SCHEMA, best place first; all of them for None."""
    if rule.by_votes and votes is None:
        raise ValueError("min_votes, max_votes: need title.principals and title.ratings")
    table = ImdbTable.open(path, TABLE, COLUMNS, block_bytes)
    best, distinct = BestNames(count), DistinctCount()
    num_read, dropped = 0, Counter[str]()
    sieve = Sieve(table=table, rule=rule, seed=seed, votes=votes)

    def sift(block: Block) -> tuple[Eligible, pa.RecordBatch]:
        eligible = sieve(block)
        # The limit only falls, so that a thread that reads it too early lets too many through.
        return eligible, _candidates(eligible, best.limit)

    for eligible, candidates in table.each(sift, progress):
        num_read += eligible.num_read
        dropped += eligible.dropped
        distinct.add(eligible.places)
        best.add(candidates)
    num_distinct = distinct.result()
    dropped["duplicate"] = num_read - dropped.total() - num_distinct
    chosen = _as_names(best.result())
    enough = count is None or len(chosen) == count
    summary = Summary(
        num_read=num_read,
        dropped={reason: dropped[reason] for reason in REASONS},
        num_distinct=num_distinct,
        num_chosen=len(chosen) if enough else 0,
    )
    if not enough:
        mend = f"take --count {len(chosen)} or fewer" if len(chosen) else "see what was dropped"
        raise TooFewNamesError(
            f"--count = {count}: only {len(chosen)} distinct names in {path} pass; {mend}", summary
        )
    return chosen, summary


def _candidates(eligible: Eligible, limit: int) -> pa.RecordBatch:
    """The people of a block who may still be chosen, with the columns that order them."""
    near = np.flatnonzero(eligible.places <= np.uint64(limit))
    people = eligible.people.take(pa.array(near))
    return pa.RecordBatch.from_pydict(
        {
            "place": pa.array(eligible.places[near]),
            "name": people["primaryName"],
            "number": identifier_numbers(people["nconst"], "nm"),
            "nconst": people["nconst"].cast(pa.string()),
            "birth_year": people["birthYear"].cast(pa.string()).cast(pa.int16()),
            "professions": people["primaryProfession"].dictionary_decode().cast(pa.string()),
        }
    )


def _as_names(people: pa.Table | None) -> pa.Table:
    """The columns of the record, its professions as lists."""
    if people is None:
        return NAME_SCHEMA.empty_table()
    lists = pc.split_pattern(people["professions"], ",")
    people = people.set_column(people.schema.get_field_index("professions"), "professions", lists)
    return people.select(NAME_SCHEMA.names).cast(NAME_SCHEMA)
