"""How many votes the best known title of a person has, from title.principals and title.ratings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.names.imdb_tables import Block, ImdbTable, Progress, identifier_numbers

Numbers = NDArray[np.int64]
PRINCIPALS, RATINGS = "title.principals", "title.ratings"
# Rows to gather before the maxima are merged, at the least: 64 MB.
MERGE_ROWS = 4_000_000


@dataclass(frozen=True, slots=True)
class Votes:
    """The most votes by the number of a title or a person; the numbers ascend and differ."""

    numbers: Numbers
    votes: Numbers

    def of(self, numbers: Numbers) -> Numbers:
        """The votes of these, 0 for whom the tables do not know."""
        if not len(self.numbers):
            return np.zeros(len(numbers), dtype=np.int64)
        at = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        return np.where(self.numbers[at] == numbers, self.votes[at], 0)


def read_person_votes(principals: Path, ratings: Path, progress: Progress | None = None) -> Votes:
    """The most votes of any title that a person is a principal of."""
    # Both headers first: nobody should wait minutes to learn that the second file is wrong.
    credits = ImdbTable.open(principals, PRINCIPALS, ("tconst", "nconst"))
    rated = ImdbTable.open(ratings, RATINGS, ("tconst", "numVotes"))

    def titles_of(block: Block) -> Votes:
        rows, _ = rated.parse(block, {"tconst": pa.binary(), "numVotes": pa.binary()})
        return _most(
            identifier_numbers(rows["tconst"], "tt"), identifier_numbers(rows["numVotes"], "")
        )

    titles = _merged(rated.each(titles_of))

    def people_of(block: Block) -> Votes:
        rows, _ = credits.parse(block, {"tconst": pa.binary(), "nconst": pa.binary()})
        numbers = identifier_numbers(rows["tconst"], "tt").fill_null(-1).to_numpy()
        return _most(identifier_numbers(rows["nconst"], "nm"), pa.array(titles.of(numbers)))

    return _merged(credits.each(people_of, progress))


def _most(numbers: pa.Array, votes: pa.Array) -> Votes:
    """The most votes of each number; rows where either is null say nothing."""
    pairs = pa.table({"numbers": numbers, "votes": votes}).drop_null()
    return _reduced(pairs["numbers"].to_numpy(), pairs["votes"].to_numpy())


def _merged(parts: Iterable[Votes]) -> Votes:
    """The maxima of many parts; merged whenever the new ones are as many as the old."""
    merged = _reduced(np.empty(0, np.int64), np.empty(0, np.int64))
    pending: list[Votes] = []
    num_pending = 0
    for part in parts:
        pending.append(part)
        num_pending += len(part.numbers)
        if num_pending >= max(MERGE_ROWS, len(merged.numbers)):
            merged, pending, num_pending = _joined([merged, *pending]), [], 0
    return _joined([merged, *pending])


def _joined(parts: list[Votes]) -> Votes:
    numbers = np.concatenate([part.numbers for part in parts])
    return _reduced(numbers, np.concatenate([part.votes for part in parts]))


def _reduced(numbers: Numbers, votes: Numbers) -> Votes:
    order = np.argsort(numbers, kind="stable")
    numbers, votes = numbers[order], votes[order]
    begins = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
    if not len(begins):
        return Votes(numbers, votes)
    return Votes(numbers[begins], np.maximum.reduceat(votes, begins))
