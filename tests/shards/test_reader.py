from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest

from shards import reader as reader_module
from shards.reader import Reader, read_sample


def test_reads_by_position_and_by_id(generated: Path) -> None:
    with Reader(generated, split="train") as reader:
        for position in random.Random(0).sample(range(len(reader)), len(reader)):
            row = reader.row(position)
            assert row["split"] == "train"
            assert reader.position(row["id"]) == position
            data = reader.read(position, "target", check=True)
            assert data.startswith(b"\x89PNG")
            assert read_sample(generated, row["id"])[1]["target"] == data


def test_opens_no_more_tars_than_it_may(generated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "OPEN_TARS", 2)
    with Reader(generated) as reader:
        once = [reader.read(n, "source") for n in range(len(reader))]
        assert len(reader._open) == 2
        assert [reader.read(n, "source") for n in range(len(reader))] == once


def test_travels_to_another_process(generated: Path) -> None:
    with Reader(generated) as reader:
        first = reader.read(0, "source")
        with pickle.loads(pickle.dumps(reader)) as copy:
            assert copy.read(0, "source") == first


def test_a_damaged_picture_is_told(generated: Path) -> None:
    with Reader(generated) as reader:
        row = reader.row(0)
    tar = generated / f"{row['shard']}.tar"
    data = bytearray(tar.read_bytes())
    data[row["source_offset"] + 100] ^= 1
    tar.write_bytes(data)
    with Reader(generated) as reader, pytest.raises(ValueError, match=r"not as published"):
        reader.read(0, "source", check=True)
    with pytest.raises(ValueError, match=f"the source of {row['id']} is damaged"):
        read_sample(generated, row["id"])
    tar.write_bytes(data[: row["source_offset"] + 10])
    with Reader(generated) as reader, pytest.raises(ValueError, match=f"{row['id']}: ends within"):
        reader.read(0, "source")


def test_what_is_not_there_is_told(generated: Path) -> None:
    with pytest.raises(ValueError, match="its plan has no sample 'nobody'"):
        read_sample(generated, "nobody")
    with Reader(generated) as reader:
        row = reader.row(0)
        with pytest.raises(KeyError):
            reader.position("nobody")
    (generated / f"{row['shard']}.done.json").unlink()
    with pytest.raises(ValueError, match="which is not made yet"):
        read_sample(generated, row["id"])
    (generated / "manifest.parquet").unlink()
    with pytest.raises(ValueError, match=r"has no manifest\.parquet; make one"):
        Reader(generated)
