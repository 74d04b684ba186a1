"""Reads IMDb's tables, gzipped TSV without quotes, block by block.

Inflating, parsing and what a caller does with a block overlap in a few threads; only a few blocks
are ever in memory. A row with another number of columns is counted, a damaged file is an error.
"""

from __future__ import annotations

import gzip
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeAlias, TypeVar, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

# Inflates three times as fast as zlib, which alone would take most of the whole time.
from isal import igzip, isal_zlib

# isal's stubs call its error class an instance.
_DAMAGED = cast(tuple[type[Exception], ...], (EOFError, gzip.BadGzipFile, isal_zlib.error))

Result = TypeVar("Result")
Block: TypeAlias = bytes | memoryview
DOWNLOADS = "https://datasets.imdbws.com/"
GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 4 << 20
SEAMS = 1024  # lines across two blocks that are gathered before they are parsed
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
        with _opened(path, table, block_bytes) as (file, _):
            first = file.readline(block_bytes)
        if not first:
            raise ValueError(f"{path}: is empty; {_mend(table)}")
        text = first.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        header = tuple(text.rstrip("\r\n").split("\t"))
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
        self, work: Callable[[Block], Result], progress: Progress | None = None
    ) -> Iterator[Result]:
        """What `work` makes of every block of whole lines, in no order that matters."""
        threads = min(4, os.cpu_count() or 1)
        pending: deque[Future[Result]] = deque()
        with (
            ThreadPoolExecutor(threads, thread_name_prefix="imdb") as pool,
            _opened(self.path, self.table, self.block_bytes) as (file, raw),
        ):
            total = os.fstat(raw.fileno()).st_size
            file.readline(self.block_bytes)  # the header
            for block in _whole_lines(file, self.block_bytes):
                pending.append(pool.submit(work, block))
                if len(pending) > threads + 1:
                    yield pending.popleft().result()
                if progress:
                    progress(raw.tell(), total)
            while pending:
                yield pending.popleft().result()

    def parse(self, block: Block, columns: Mapping[str, pa.DataType]) -> tuple[pa.RecordBatch, int]:
        """These columns of a block's rows, and how many rows had another number of columns."""
        malformed: list[int] = []

        def skip(row: object) -> str:
            malformed.append(1)
            return "skip"

        nothing = pa.RecordBatch.from_pylist([], schema=pa.schema(columns))
        # read_csv refuses an empty text, although its columns are given.
        if not bytes(block[:2]).strip() and not bytes(block).strip():
            return nothing, 0
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
        batches = table.combine_chunks().to_batches()
        return (batches[0] if batches else nothing), len(malformed)


def has_number(identifiers: pa.Array, prefix: str) -> pa.Array:
    """Whether these are identifiers of IMDb, such as nm0000123; null for null."""
    most = len(prefix) + MOST_DIGITS
    try:
        digits = pc.binary_slice(identifiers, len(prefix), most).cast(pa.string())
    except pa.ArrowInvalid:  # not even UTF-8
        return pc.match_substring_regex(identifiers, f"^{prefix}[0-9]{{1,{MOST_DIGITS}}}$")
    # An int32 like the lengths, or arrow casts all of them.
    fits = pc.less_equal(pc.binary_length(identifiers), pa.scalar(most, pa.int32()))
    return pc.and_(pc.and_(pc.starts_with(identifiers, prefix), fits), pc.ascii_is_decimal(digits))


def identifier_numbers(identifiers: pa.Array, prefix: str) -> pa.Array:
    """The numbers in IMDb's identifiers (nm0000123 is 123), null where there is none."""
    whole = has_number(identifiers, prefix)
    digits = pc.binary_slice(identifiers, len(prefix), len(prefix) + MOST_DIGITS)
    if whole.true_count < len(whole):
        digits = pc.if_else(whole, digits, pa.scalar(None, digits.type))
    return digits.cast(pa.string()).cast(pa.int64())


@contextmanager
def _opened(path: Path, table: str, block_bytes: int) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file's text and its bytes on the disk; whatever is wrong with it is a ValueError."""
    try:
        with path.open("rb") as raw, _inflated(raw, path, table) as file:
            yield file, raw
    except _LongLineError as error:
        reason = f"has a line of more than {block_bytes:,} bytes, so it is no table of IMDb"
        raise ValueError(f"{path}: {reason}; {_mend(table)}") from error
    except _DAMAGED as error:
        raise ValueError(f"{path}: is cut short or damaged ({error}); {_mend(table)}") from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; {_mend(table)}") from error


def _inflated(raw: IO[bytes], path: Path, table: str) -> IO[bytes]:
    """The file's text: inflated where it is gzip, as it is where it is called .tsv."""
    magic = raw.read(16)
    raw.seek(0)
    if magic.startswith(GZIP_MAGIC):
        return cast(IO[bytes], igzip.open(raw, "rb"))
    if magic and path.suffix != ".tsv":
        raise ValueError(f"{path}: is not gzip, it begins with {magic!r}; {_mend(table)}")
    return raw


class _LongLineError(Exception):
    """A line is longer than a block."""


def _whole_lines(file: IO[bytes], block_bytes: int) -> Iterator[Block]:
    """The rest of a text in blocks of whole lines.

    A block is handed on without being copied; the lines that lie across two blocks come together
    in blocks of their own.
    """
    seams: list[bytes] = []
    rest = b""
    while block := file.read(block_bytes):
        first, last = block.find(b"\n") + 1, block.rfind(b"\n") + 1
        if len(rest) + (first or len(block)) > block_bytes:
            raise _LongLineError
        if not first:
            rest += block
            continue
        seams.append(rest + block[:first])
        rest = block[last:]
        yield memoryview(block)[first:last]
        if len(seams) == SEAMS:
            yield b"".join(seams)
            seams.clear()
    yield b"".join([*seams, rest])


def _mend(table: str) -> str:
    return f"download {table}.tsv.gz anew from {DOWNLOADS}"


def _shortened(text: str, most: int = 120) -> str:
    return text if len(text) <= most else f"{text[:most]}..."
