"""A selection file: what of it is believed, and of which dataset."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.records import to_table
from schemas.selection import SELECTION_SCHEMA, Selected
from shards.encoding import read_parquet
from shards.run import read_generator
from tasks.selection_file import read_selection, selected_ids, write_selection


def ids_of(dataset: Path) -> list[str]:
    ids: list[str] = read_parquet(dataset / "plan.parquet")["id"].to_pylist()
    return ids


def of(ids: list[str], every: int = 2) -> pa.Table:
    return to_table(
        (
            Selected(id=one, selected=n % every == 0, reason=None if n % every == 0 else "unfit")
            for n, one in enumerate(ids)
        ),
        SELECTION_SCHEMA,
    )


def test_it_comes_back_and_is_replaced_whole(finished: Path, tmp_path: Path) -> None:
    ids, path = ids_of(finished), tmp_path / "new folder" / "chosen.parquet"
    generator = read_generator(finished)
    assert generator is not None
    write_selection(path, of(ids), generator.fingerprint())
    assert selected_ids(read_selection(path, finished)) == set(ids[::2])
    first = path.read_bytes()
    write_selection(path, of(ids), generator.fingerprint())
    assert path.read_bytes() == first
    write_selection(path, of(ids, 4), generator.fingerprint())
    assert selected_ids(read_selection(path, finished)) == set(ids[::4])


def test_of_the_same_ids_but_other_pictures(finished: Path, tmp_path: Path) -> None:
    write_selection(tmp_path / "s.parquet", of(ids_of(finished)), "f" * 64)
    with pytest.raises(ValueError, match=r"s\.parquet: was chosen from other pictures than those"):
        read_selection(tmp_path / "s.parquet", finished)


def test_one_that_a_person_wrote(finished: Path, tmp_path: Path) -> None:
    ids, path = ids_of(finished), tmp_path / "mine.parquet"
    pq.write_table(of(ids[:3]), path)
    assert selected_ids(read_selection(path, finished)) == {ids[0], ids[2]}
    for wrong, told in [
        ([*ids[:3], "zz", "nobody"], r"2 of its samples are not in .*, for example 'nobody'"),
        ([ids[0], ids[1], ids[0]], f"'{ids[0]}' has 2 rows; one each is expected"),
    ]:
        pq.write_table(of(wrong), path)
        with pytest.raises(ValueError, match=told):
            read_selection(path, finished)
    with pytest.raises(ValueError, match="record is 'sample'"):
        read_selection(finished / "manifest.parquet", finished)
    with pytest.raises(ValueError, match="is not there"):
        read_selection(tmp_path / "nowhere.parquet", finished)


def test_nothing_else_is_replaced(finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": ["a"]}), other)
    before = other.read_bytes()
    with pytest.raises(ValueError, match=r"rows\.parquet: is there and is no selection"):
        write_selection(other, of(ids_of(finished)), "f" * 64)
    assert other.read_bytes() == before
