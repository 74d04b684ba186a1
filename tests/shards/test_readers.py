"""Readers that are not ours open our shards."""

from __future__ import annotations

import gc
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow.dataset
import pytest
import webdataset
import wids
from PIL import Image

from shards.reader import Reader

# webdataset and datasets leave the tars that they read to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(autouse=True)
def _collect_what_they_left() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def pictures(generated: Path) -> dict[str, bytes]:
    """Every picture by id and stage, as our own reader gives them."""
    with Reader(generated) as reader:
        return {
            f"{reader.row(n)['id']}.{stage}.png": reader.read(n, stage, check=True)
            for n in range(len(reader))
            for stage in reader.stages
        }


def test_tarfile(generated: Path, pictures: dict[str, bytes]) -> None:
    found = {}
    for path in sorted(generated.glob("*/*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    assert {name: data for name, data in found.items() if name.endswith("png")} == pictures
    facts = [json.loads(data) for name, data in found.items() if name.endswith("json")]
    assert len(facts) * 2 == len(pictures)
    assert all(None not in fact.values() for fact in facts)


def test_webdataset(generated: Path, pictures: dict[str, bytes]) -> None:
    urls = sorted(map(str, generated.glob("train/*.tar")))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    assert samples
    for sample in samples:
        assert sample["source.png"] == pictures[f"{sample['__key__']}.source.png"]
        assert sample["target.png"] == pictures[f"{sample['__key__']}.target.png"]
        assert json.loads(sample["json"])["id"] == sample["__key__"]
    rows = pd.read_parquet(generated / "manifest.parquet")
    assert [s["__key__"] for s in samples] == rows.query("split == 'train'")["id"].to_list()


@pytest.mark.parametrize("index", ["index.json", "train/index.json", "test/index.json"])
def test_wids(generated: Path, pictures: dict[str, bytes], tmp_path: Path, index: str) -> None:
    samples = wids.ShardListDataset(
        str(generated / index), cache_dir=str(tmp_path / "cache"), keep=True, transformations=[]
    )
    with Reader(generated, split=None if index == "index.json" else index.split("/")[0]) as reader:
        assert len(samples) == len(reader)
        for position in (0, len(reader) // 2, len(reader) - 1):
            sample = samples[position]
            assert sample["__key__"] == reader.row(position)["id"]
            assert sample[".target.png"].read() == reader.read(position, "target")


def test_hugging_face_datasets(generated: Path, pictures: dict[str, bytes], tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(generated), cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == {"train", "validation", "test"}
    rows = pd.read_parquet(generated / "manifest.parquet")
    for split, samples in loaded.items():
        assert len(samples) == (rows["split"] == split).sum()
        for sample in samples:
            for stage in ("source", "target"):
                wanted = Image.open(io.BytesIO(pictures[f"{sample['__key__']}.{stage}.png"]))
                assert np.array_equal(np.asarray(sample[f"{stage}.png"]), np.asarray(wanted))
            assert sample["json"]["id"] == sample["__key__"]


def test_pyarrow_dataset_and_pandas(generated: Path, pictures: dict[str, bytes]) -> None:
    scanned = pyarrow.dataset.dataset(generated / "manifest.parquet").to_table()
    framed = pd.read_parquet(generated / "manifest.parquet")
    assert scanned.to_pandas().equals(framed)
    assert len(framed) == 64
    row = framed.iloc[-1]
    with (generated / f"{row['shard']}.tar").open("rb") as tar:
        tar.seek(row["source_offset"])
        assert tar.read(row["source_bytes"]) == pictures[f"{row['id']}.source.png"]
    # The rows of all shards, as one dataset, are the manifest.
    shards = [str(p) for p in sorted(generated.glob("t*/*.parquet"))]
    assert pyarrow.dataset.dataset(shards).count_rows() == (framed["split"] != "validation").sum()
