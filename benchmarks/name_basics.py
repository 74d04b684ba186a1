"""Writes an invented name.basics.tsv.gz with the columns, shapes and oddities of IMDb's.

The people are made of syllables; whoever shares a name with one of them does so by chance. With
--principals and --ratings the two tables beside it are written too, for the filters by votes.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tyro
from numpy.typing import NDArray

from benchmarks.invented_people import first_names, last_names

Rng = np.random.Generator
CHUNK_ROWS = 500_000
# Shares of IMDb's own column, rounded; "voice_actor" is invented: it holds "actor" and is not one.
PROFESSIONS = {
    "\\N": 0.20,
    "actor": 0.19,
    "actress": 0.12,
    "miscellaneous": 0.10,
    "producer": 0.08,
    "camera_department": 0.06,
    "writer": 0.06,
    "director": 0.05,
    "sound_department": 0.04,
    "art_department": 0.04,
    "music_department": 0.03,
    "editor": 0.02,
    "voice_actor": 0.01,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Write an invented name.basics.tsv.gz."""

    out: Annotated[Path, tyro.conf.Positional]
    """The file to write."""
    rows: int = 14_000_000
    """How many people."""
    seed: int = 0
    """The same seed and rows give the same bytes."""
    level: int = 4
    """Level of gzip, 1 to 9."""
    principals: Path | None = None
    """Also write a title.principals.tsv.gz: two rows per person."""
    ratings: Path | None = None
    """Also write a title.ratings.tsv.gz, for half of the titles."""


def main() -> None:
    """Write the files that the command line asks for."""
    arguments = tyro.cli(Arguments)
    begun = time.monotonic()
    write(arguments.out, people(arguments.rows, arguments.seed), arguments.level)
    if arguments.principals:
        write(arguments.principals, principals(arguments.rows, arguments.seed), arguments.level)
    if arguments.ratings:
        write(arguments.ratings, ratings(arguments.rows, arguments.seed), arguments.level)
    megabytes = arguments.out.stat().st_size / 1e6
    print(
        f"{arguments.out}: {arguments.rows:,} rows, {megabytes:,.1f} MB"
        f" in {time.monotonic() - begun:.1f} s"
    )


def write(path: Path, chunks: Iterator[memoryview | bytes], level: int = 4) -> None:
    """Compress the chunks into one file; no time stamp, so that equal content is equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=level, fileobj=raw, mtime=0) as file,
    ):
        for chunk in chunks:
            file.write(chunk)


def people(rows: int, seed: int) -> Iterator[memoryview | bytes]:
    """The text of name.basics, header first, in IMDb's order: by nconst as a string."""
    yield b"nconst\tprimaryName\tbirthYear\tdeathYear\tprimaryProfession\tknownForTitles\n"
    numbers = _numbers(rows, seed)
    pools = first_names(seed), last_names(seed)
    for begin in range(0, rows, CHUNK_ROWS):
        rng = np.random.default_rng([seed, begin])
        part = numbers[begin : begin + CHUNK_ROWS]
        born, died = _years(rng, len(part))
        columns = [
            _identifiers("nm", part),
            _names(rng, len(part), *pools),
            born,
            died,
            _professions(rng, len(part)),
            _titles(rng, len(part), rows),
        ]
        yield _lines(columns)


def principals(rows: int, seed: int) -> Iterator[memoryview | bytes]:
    """The text of title.principals: two titles for every person on the average."""
    yield b"tconst\tordering\tnconst\tcategory\tjob\tcharacters\n"
    numbers = np.sort(_numbers(rows, seed))
    titles = np.sort(np.random.default_rng([seed, 1]).integers(1, rows + 1, 2 * rows))
    for begin in range(0, len(titles), CHUNK_ROWS):
        rng = np.random.default_rng([seed, begin, 1])
        part = titles[begin : begin + CHUNK_ROWS]
        who = numbers[(rows * rng.random(len(part)) ** 1.5).astype(np.int64)]
        category = pa.array(["actor", "actress", "director", "self"])
        columns = [
            _identifiers("tt", part),
            pa.array(rng.integers(1, 11, len(part))).cast(pa.string()),
            _identifiers("nm", who),
            category.take(pa.array(rng.integers(0, 4, len(part)))),
            pa.repeat("\\N", len(part)),
            pa.array(['["Self"]', '["The \\"Owl\\""]', "\\N"]).take(
                pa.array(rng.integers(0, 3, len(part)))
            ),
        ]
        yield _lines(columns)


def ratings(rows: int, seed: int) -> Iterator[memoryview | bytes]:
    """The text of title.ratings: every second title, few with many votes."""
    yield b"tconst\taverageRating\tnumVotes\n"
    for begin in range(1, rows + 1, CHUNK_ROWS):
        rng = np.random.default_rng([seed, begin, 2])
        part = np.arange(begin, min(begin + CHUNK_ROWS, rows + 1))
        part = part[rng.random(len(part)) < 0.5]
        average = np.round(rng.uniform(1, 10, len(part)), 1)
        votes = (5 + rng.pareto(0.7, len(part)) * 10).clip(max=3e6).astype(np.int64)
        columns = [_identifiers("tt", part), *(pa.array(values) for values in (average, votes))]
        yield _lines([column.cast(pa.string()) for column in columns])


def _lines(columns: list[pa.Array]) -> memoryview | bytes:
    """Columns of strings as the bytes of a table: what arrow keeps for the joined column."""
    columns = [*columns[:-1], pc.binary_join_element_wise(columns[-1], "\n", "")]
    joined = pc.binary_join_element_wise(*columns, "\t")
    return memoryview(joined.buffers()[2]) if len(joined) else b""


def _numbers(rows: int, seed: int) -> NDArray[np.int64]:
    """Numbers of people with gaps, sorted as their strings are: 10000000 before 1000001."""
    rng = np.random.default_rng([seed])
    numbers = np.cumsum(1 + (rng.random(rows) < 0.25), dtype=np.int64)
    return numbers[np.argsort(np.where(numbers < 10**7, numbers * 20, numbers * 2 + 1))]


def _identifiers(prefix: str, numbers: NDArray[np.int64]) -> pa.Array:
    """IMDb's identifiers: at least seven digits, with zeros in front."""
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 7, "0")
    return pc.binary_join_element_wise(prefix, digits, "")


def _names(rng: Rng, num: int, firsts: pa.Array, lasts: pa.Array) -> pa.Array:
    """Few names are frequent; some have an initial, a quoted name, one word, or none at all."""
    first = firsts.take(pa.array((len(firsts) * rng.random(num) ** 4).astype(np.int64)))
    last = lasts.take(pa.array((len(lasts) * rng.random(num) ** 4).astype(np.int64)))
    middles = pa.array([" ", *(f" {chr(65 + at)}. " for at in range(26)), ' "Ace" ', "  "])
    middle_shares = np.array([0.9, *([0.0983 / 26] * 26), 0.0015, 0.0002])
    middle = middles.take(pa.array(rng.choice(len(middles), num, p=middle_shares)))
    full = pc.binary_join_element_wise(first, middle, last, "")
    kind = rng.random(num)
    full = pc.if_else(pa.array(kind < 0.03), first, full)
    return pc.if_else(pa.array(kind < 0.00001), "\\N", full)


def _years(rng: Rng, num: int) -> tuple[pa.Array, pa.Array]:
    """Of 22 people one has a year of birth, and of 60 one has a year of death."""
    born = rng.integers(1850, 2012, num)
    known = rng.random(num) < 0.045
    died = np.minimum(born + rng.integers(1, 95, num), 2025)
    dead = rng.random(num) < np.where(known, 0.3, 0.004)
    return _or_null(known, born), _or_null(dead, died)


def _or_null(known: NDArray[np.bool_], values: NDArray[np.int64]) -> pa.Array:
    return pc.if_else(pa.array(known), pa.array(values).cast(pa.string()), "\\N")


def _professions(rng: Rng, num: int) -> pa.Array:
    """Up to three different professions, or none."""
    words = pa.array(list(PROFESSIONS))
    shares = np.array(list(PROFESSIONS.values()))
    picks = rng.choice(len(words), (3, num), p=shares / shares.sum())
    more = rng.random(num)
    second = (more < 0.35) & (picks[1] != picks[0]) & (picks[0] > 0) & (picks[1] > 0)
    third = second & (more < 0.2) & (picks[2] > 0)
    third &= (picks[2] != picks[0]) & (picks[2] != picks[1])
    joined = words.take(pa.array(picks[0]))
    for pick, present in ((picks[1], second), (picks[2], third)):
        longer = pc.binary_join_element_wise(joined, words.take(pa.array(pick)), ",")
        joined = pc.if_else(pa.array(present), longer, joined)
    return joined


def _titles(rng: Rng, num: int, rows: int) -> pa.Array:
    """One to four titles a person is known for."""
    joined = _identifiers("tt", rng.integers(1, rows + 1, num))
    for share in (0.5, 0.3, 0.2):
        more = _identifiers("tt", rng.integers(1, rows + 1, num))
        longer = pc.binary_join_element_wise(joined, more, ",")
        joined = pc.if_else(pa.array(rng.random(num) < share), longer, joined)
    return joined


if __name__ == "__main__":
    main()
