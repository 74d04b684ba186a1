"""Keeps the best of a stream of names in bounded memory, and counts how many differ.

A name's place in the order comes from its hash, so which names are kept does not depend on the
order in which they arrive, and the best N begin with the best of any smaller number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.names.name_hash import Hashes

LAST_PLACE = 2**64 - 1
# Rows to gather before they are sorted into those kept, at the least.
MERGE_ROWS = 250_000
# Ties by name; of the people of one name the lowest number, and nothing left to the file's order.
_SORT_KEYS = [
    (key, "ascending") for key in ("place", "name", "number", "birth_year", "professions")
]


class BestNames:
    """The `count` names of lowest place so far; all of them where count is None."""

    def __init__(self, count: int | None) -> None:
        self._count = count
        self._kept: pa.Table | None = None
        self._pending: list[pa.RecordBatch] = []
        self._num_pending = 0
        self.limit = LAST_PLACE

    def add(self, people: pa.RecordBatch) -> None:
        """Take people with the columns of the sort keys; beyond `limit` they need not be added."""
        self._pending.append(people)
        self._num_pending += len(people)
        if self._num_pending >= max(MERGE_ROWS, len(self._kept or ())):
            self._merge()

    def result(self) -> pa.Table | None:
        """The people who bear the best names, best first; None if nobody was ever added."""
        self._merge()
        return self._kept

    def _merge(self) -> None:
        if not self._pending:
            return
        tables = [self._kept] if self._kept is not None else []
        table = pa.concat_tables([*tables, pa.Table.from_batches(self._pending)]).combine_chunks()
        self._pending, self._num_pending = [], 0
        table = _one_per_name(table)
        if self._count is not None and len(table) >= self._count:
            table = table.slice(0, self._count)
            self.limit = table["place"][-1].as_py() if self._count else 0
        self._kept = table


def _one_per_name(table: pa.Table) -> pa.Table:
    """Rows in the order of the sort keys, the first of every name."""
    place, number = table["place"].to_numpy(), table["number"].to_numpy()
    order = np.lexsort((number, place))
    same_place = _repeats(place[order])
    same_name = _repeated_names(table["name"].take(pa.array(order)))
    if (same_place == same_name).all() and not (same_place & _repeats(number[order])).any():
        return table.take(pa.array(order[~same_name]))
    # Names with one hash, or a person listed twice: so rare that the slow way is good enough.
    table = table.sort_by(_SORT_KEYS)
    return table.filter(pa.array(~_repeated_names(table["name"])))


def _repeats(values: NDArray[Any]) -> NDArray[np.bool_]:
    repeats = np.zeros(len(values), np.bool_)
    np.equal(values[1:], values[:-1], out=repeats[1:])
    return repeats


def _repeated_names(names: pa.ChunkedArray) -> NDArray[np.bool_]:
    joined = names.combine_chunks()
    repeats = np.zeros(len(joined), np.bool_)
    repeats[1:] = pc.equal(joined[1:], joined[:-1]).to_numpy(zero_copy_only=False)
    return repeats


class DistinctCount:
    """How many different 64-bit hashes there were.

    Two different names share one once in some million files; they are then counted as one.
    """

    def __init__(self) -> None:
        self._seen: Hashes = np.empty(0, np.uint64)
        self._pending: list[Hashes] = []
        self._num_pending = 0

    def add(self, hashes: Hashes) -> None:
        """Take more hashes."""
        self._pending.append(hashes)
        self._num_pending += len(hashes)
        if self._num_pending >= max(4 * MERGE_ROWS, len(self._seen)):
            self._merge()

    def result(self) -> int:
        """How many differ."""
        self._merge()
        return len(self._seen)

    def _merge(self) -> None:
        values = np.concatenate([self._seen, *self._pending])
        self._pending, self._num_pending = [], 0
        values.sort()
        self._seen = values[~_repeats(values)]
