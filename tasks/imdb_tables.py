"""Reads IMDb's tables, gzipped TSV without quotes, block by block.

Inflating, parsing and what a caller does with a block overlap in a few threads; only a few blocks
are ever in memory. A row with another number of columns is counted, a damaged file is an error.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

try:
    # Inflates three times as fast as zlib, which alone would take a third of the whole time.
    from isal import igzip, isal_zlib

    _open_gzip = igzip.GzipFile
    _DAMAGED: tuple[type[Exception], ...] = (EOFError, zlib.error, isal_zlib.error)
except ImportError:  # no wheel for this processor: the same bytes, later
    _open_gzip = gzip.GzipFile
    _DAMAGED = (EOFError, zlib.error)

Result = TypeVar("Result")
DOWNLOADS = "https://datasets.imdbws.com/"
GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 4 << 20
NULL = "\\N"
MOST_DIGITS = 18  # of an identifier, so that it is an int64


class Progress(Protocol):
    """Told how many bytes of the file have been read, and how many there are."""

    def __call__(self, done: float, total: float | None = None) -> None:
        """Set how far the reading is."""
        ...


@dataclass(frozen=True, slots=True)
class ImdbTable:
    """A table whose header has been checked: where it lies and what its columns are called."""

    path: Path
    table: str
    header: tuple[str, ...]
    block_bytes: int = BLOCK_BYTES

    @classmethod
    def open(
        cls, path: Path, table: str, columns: Sequence[str], block_bytes: int = BLOCK_BYTES
    ) -> ImdbTable:
        """Check that the file is this table of IMDb and has these columns."""
        first, header = b"", ()
        for first in _whole_lines(path, table, block_bytes, progress=None):
            line = first[: first.index(b"\n")].removeprefix(b"\xef\xbb\xbf")
            header = tuple(line.decode("utf-8", "replace").rstrip("\r").split("\t"))
            break
        if not first:
            raise ValueError(f"{path}: is empty; {_mend(table)}")
        missing = [column for column in columns if column not in header]
        if missing:
            raise ValueError(
                f"{path}: column {missing[0]!r} is missing, the columns are"
                f" {_shortened(', '.join(header))}; {_mend(table)}"
            )
        if len(set(header)) < len(header):
            raise ValueError(
                f"{path}: a column stands twice in {_shortened(', '.join(header))}; {_mend(table)}"
            )
        return cls(path, table, header, block_bytes)

    def each(
        self, work: Callable[[bytes], Result], progress: Progress | None = None
    ) -> Iterator[Result]:
        """What `work` makes of every block of whole lines, in the order of the file."""
        threads = min(4, os.cpu_count() or 1)
        blocks = _whole_lines(self.path, self.table, self.block_bytes, progress)
        with ThreadPoolExecutor(threads, thread_name_prefix="imdb") as pool:
            pending: deque[Future[Result]] = deque()
            for number, block in enumerate(blocks):
                pending.append(pool.submit(work, block if number else _without_header(block)))
                if len(pending) > threads + 1:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def parse(self, block: bytes, columns: Mapping[str, pa.DataType]) -> tuple[pa.RecordBatch, int]:
        """These columns of a block's rows, and how many rows had another number of columns."""
        malformed: list[int] = []

        def skip(row: object) -> str:
            malformed.append(1)
            return "skip"

        if not block.strip():  # read_csv refuses an empty text, although its columns are given
            return pa.RecordBatch.from_pylist([], schema=pa.schema(columns)), 0
        table = pa.csv.read_csv(
            pa.BufferReader(block),
            pa.csv.ReadOptions(
                use_threads=False, block_size=len(block) + 1, column_names=list(self.header)
            ),
            pa.csv.ParseOptions(delimiter="\t", quote_char=False, invalid_row_handler=skip),
            pa.csv.ConvertOptions(
                include_columns=list(columns),
                column_types=dict(columns),
                null_values=[NULL],
                strings_can_be_null=True,
            ),
        )
        # One block of text is one batch, so that a dictionary column has one dictionary.
        return table.combine_chunks().to_batches(max_chunksize=None)[0], len(malformed)


def identifier_numbers(identifiers: pa.Array, prefix: str) -> pa.Array:
    """The numbers in IMDb's identifiers (nm0000123 is 123), null where there is none."""
    whole = pc.match_substring_regex(identifiers, f"^{prefix}[0-9]{{1,{MOST_DIGITS}}}$")
    digits = pc.binary_slice(identifiers, len(prefix), len(prefix) + MOST_DIGITS)
    if whole.true_count < len(whole):
        digits = pc.if_else(whole, digits, pa.scalar(None, digits.type))
    return digits.cast(pa.string()).cast(pa.int64())


def _whole_lines(
    path: Path, table: str, block_bytes: int, progress: Progress | None
) -> Iterator[bytes]:
    """The text of the file in blocks that end with a line; a damaged file is a ValueError."""
    try:
        with path.open("rb") as raw:
            total = os.fstat(raw.fileno()).st_size
            rest = b""
            with _inflated(raw, path, table) as file:
                while block := file.read(block_bytes):
                    cut = block.rfind(b"\n") + 1
                    if cut:
                        yield rest + block[:cut]
                        rest = block[cut:]
                    else:
                        rest += block
                    if len(rest) > block_bytes:
                        raise ValueError(
                            f"{path}: has a line of more than {block_bytes:,} bytes, so it is no"
                            f" table of IMDb; {_mend(table)}"
                        )
                    if progress:
                        progress(raw.tell(), total)
            if rest:
                yield rest + b"\n"
    except _DAMAGED as error:
        raise ValueError(f"{path}: ends too early or is damaged ({error}); {_mend(table)}") from error
    except gzip.BadGzipFile as error:
        raise ValueError(f"{path}: is damaged ({error}); {_mend(table)}") from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; {_mend(table)}") from error


def _inflated(raw: IO[bytes], path: Path, table: str) -> IO[bytes]:
    """The file's text: inflated where it is gzip, as it is where it is called .tsv."""
    magic = raw.read(16)
    raw.seek(0)
    if magic.startswith(GZIP_MAGIC):
        file: IO[bytes] = _open_gzip(fileobj=raw, mode="rb")
        return file
    if magic and path.suffix != ".tsv":
        raise ValueError(f"{path}: is not gzip, it begins with {magic!r}; {_mend(table)}")
    return raw


def _without_header(block: bytes) -> bytes:
    return block[block.index(b"\n") + 1 :]


def _mend(table: str) -> str:
    return f"download {table}.tsv.gz anew from {DOWNLOADS}"


def _shortened(text: str, most: int = 120) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
