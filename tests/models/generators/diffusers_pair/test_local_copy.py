"""A node's own copy of the models: the same files, copied once, checked, and shared."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from models.generators.build import build_generator
from models.generators.diffusers_pair.checkpoint import find_checkpoint
from models.generators.diffusers_pair.local_copy import local_copy
from models.tiny.write import write
from schemas.config import DatasetConfig
from schemas.endings import CannotGoOn

Pair = Callable[..., DatasetConfig]


def copy(model: str, place: str) -> str:
    checkpoint = find_checkpoint(model, "local")
    return str(local_copy(checkpoint, checkpoint.sha256(), Path(place)).folder)


def test_pictures_of_the_copy_are_those_of_the_models(pair: Pair, tmp_path: Path) -> None:
    config = pair(dataset={"stages": ["source", "target"]})
    generator = build_generator(config)
    identity = generator.identity()
    copied = build_generator(config)
    copied.copy_weights(tmp_path, identity)  # type: ignore[arg-type]
    assert copied.revisions() == generator.revisions()
    assert copied.identity() == identity
    copied.load()
    blobs = [path for path in (tmp_path / "blobs").iterdir() if path.suffix != ".lock"]
    sums = {sha256 for model in identity.values() for sha256 in model.weights.values()}
    assert sums <= {path.name for path in blobs}
    source, target = copied.pipelines["source"].run, copied.pipelines["target"].run  # type: ignore[attr-defined]
    assert source.vae is target.vae  # what two models share lies there once, and is seen to


def test_two_workers_of_a_node_copy_once(tmp_path: Path) -> None:
    model, place = tmp_path / "flux-dev", tmp_path / "place"
    write("flux-dev", model)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folders = pool.starmap(copy, [(str(model), str(place))] * 4)
    assert len(set(folders)) == 1
    assert not list((place / "blobs").glob("*.partial"))
    times = {path: path.stat().st_mtime_ns for path in (place / "blobs").iterdir()}
    assert copy(str(model), str(place)) == folders[0]
    assert {p: p.stat().st_mtime_ns for p in times if p.suffix != ".lock"} == {
        p: t for p, t in times.items() if p.suffix != ".lock"
    }


def test_a_file_that_changed_since_is_not_taken(tmp_path: Path) -> None:
    model = tmp_path / "flux-dev"
    write("flux-dev", model)
    checkpoint = find_checkpoint(str(model), "local")
    sums = checkpoint.sha256()
    weights = next(model.glob("vae/*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="is not the file that generator"):
        local_copy(checkpoint, sums, tmp_path / "place")
    assert not list((tmp_path / "place").rglob("*.partial"))


def test_a_place_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    model = tmp_path / "flux-dev"
    write("flux-dev", model)
    (tmp_path / "place").write_text("a file")
    with pytest.raises(CannotGoOn, match="place"):
        copy(str(model), str(tmp_path / "place"))
