"""IMDb's files, sound and damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.names.imdb_tables import Block, ImdbTable, identifier_numbers

HEADER = b"tconst\taverageRating\tnumVotes\n"
ROWS = b"".join(b"tt%07d\t5.0\t%d\n" % (number, number * 10) for number in range(1, 401))
COLUMNS = ("tconst", "numVotes")


def write(folder: Path, content: bytes, name: str = "title.ratings.tsv.gz") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read(path: Path, block_bytes: int = 4096) -> tuple[list[dict[str, object]], int]:
    table = ImdbTable.open(path, "title.ratings", COLUMNS, block_bytes)

    def rows_of(block: Block) -> tuple[list[dict[str, object]], int]:
        rows, malformed = table.parse(block, dict.fromkeys(COLUMNS, pa.string()))
        return rows.to_pylist(), malformed

    rows, malformed = [], 0
    for found, bad in table.each(rows_of):
        rows += found
        malformed += bad
    return sorted(rows, key=str), malformed


EXPECTED = [{"tconst": f"tt{number:07d}", "numVotes": str(number * 10)} for number in range(1, 401)]


def packed(text: bytes) -> bytes:
    """The same bytes at any time, as names of tests are made of them."""
    return gzip.compress(text, mtime=0)


COMPRESSED = packed(HEADER + ROWS)
SOUND = {
    "one member": COMPRESSED,
    "many members": gzip.compress(HEADER) + gzip.compress(ROWS[:100]) + gzip.compress(ROWS[100:]),
    "zeros after the end": COMPRESSED + bytes(512),
    "no last newline": gzip.compress((HEADER + ROWS)[:-1]),
    "CRLF": gzip.compress((HEADER + ROWS).replace(b"\n", b"\r\n")),
    "byte order mark": gzip.compress(b"\xef\xbb\xbf" + HEADER + ROWS),
    "blank lines": gzip.compress(HEADER + ROWS.replace(b"\n", b"\n\n")),
}


@pytest.mark.parametrize("block_bytes", [64, 100, 1000, 1 << 20])
@pytest.mark.parametrize("kind", SOUND)
def test_reads_every_row_once(tmp_path: Path, kind: str, block_bytes: int) -> None:
    assert read(write(tmp_path, SOUND[kind]), block_bytes) == (EXPECTED, 0)


def test_reads_a_plain_tsv(tmp_path: Path) -> None:
    assert read(write(tmp_path, HEADER + ROWS, "title.ratings.tsv")) == (EXPECTED, 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (COMPRESSED[:200], "cut short or damaged"),
        (COMPRESSED[:-4], "cut short or damaged"),
        (COMPRESSED[:5], "cut short or damaged"),
        (COMPRESSED[:-8] + b"\0\0\0\0" + COMPRESSED[-4:], "cut short or damaged"),
        (COMPRESSED[:100] + b"\xff" * 50 + COMPRESSED[150:], "cut short or damaged"),
        (COMPRESSED + b"garbage", "cut short or damaged"),
        (b"", "is empty"),
        (packed(b""), "is empty"),
        (b"<!DOCTYPE html><html>", r"is not gzip, it begins with b'<!DOCTYPE html><'"),
        (b"PK\x03\x04" + bytes(50), "is not gzip"),
        (HEADER + ROWS, "is not gzip"),
        (packed(bytes(100_000)), "column 'tconst' is missing"),
        (packed(HEADER + b"x" * 100_000), "line of more than 4,096 bytes"),
        (packed(b"tconst\tordering\ttitle\n"), "column 'numVotes' is missing, the columns"),
        (packed(b"tconst\tnumVotes\ttconst\n"), "a column stands twice"),
    ],
)
def test_a_bad_file_is_named_with_its_mend(tmp_path: Path, content: bytes, words: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=words) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "download title.ratings.tsv.gz anew" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read(tmp_path / "absent.tsv.gz")
    with pytest.raises(ValueError, match="Is a directory"):
        read(tmp_path)


def test_rows_with_another_number_of_columns_are_counted(tmp_path: Path) -> None:
    bad = b"tt9\t1\n" + b"tt9\t1\t2\t3\n" + b"only\n"
    assert read(write(tmp_path, gzip.compress(HEADER + bad + ROWS + bad))) == (EXPECTED, 6)
    assert read(write(tmp_path, gzip.compress(HEADER + bad))) == ([], 3)


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert read(write(tmp_path, gzip.compress(HEADER))) == ([], 0)
    assert read(write(tmp_path, gzip.compress(HEADER[:-1]))) == ([], 0)


def test_quotes_are_letters_and_nulls_are_nulls(tmp_path: Path) -> None:
    rows = b'"tt1\t1.0\t"5\n\\N\t\\N\t\\N\nx\\N\ty\tz"\n'
    found, malformed = read(write(tmp_path, gzip.compress(HEADER + rows)))
    assert malformed == 0
    assert {"tconst": '"tt1', "numVotes": '"5'} in found
    assert {"tconst": None, "numVotes": None} in found
    assert {"tconst": "x\\N", "numVotes": 'z"'} in found


def test_tells_how_many_bytes_it_has_read(tmp_path: Path) -> None:
    path = write(tmp_path, COMPRESSED)
    told: list[tuple[float, float | None]] = []
    table = ImdbTable.open(path, "title.ratings", COLUMNS, 512)
    list(table.each(len, lambda done, total=None: told.append((done, total))))
    assert told[-1] == (len(COMPRESSED), len(COMPRESSED))


def test_numbers_of_identifiers() -> None:
    values = [b"nm0000009", b"nm10000000", b"tt1", b"nm", b"nm1x", b"nm" + b"9" * 30, None, b"nm-1"]
    expected = [9, 10_000_000, *[None] * 6]
    assert identifier_numbers(pa.array(values, pa.binary()), "nm").to_pylist() == expected
    with_bad_text = pa.array([*values, b"nm\xff"], pa.binary())
    assert identifier_numbers(with_bad_text, "nm").to_pylist() == [*expected, None]
