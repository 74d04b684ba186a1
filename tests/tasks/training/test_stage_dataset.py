"""The shards that a run reads on a disk of the node: the same head, and no other shards."""

from __future__ import annotations

import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.settings import resolve
from schemas.train import TrainConfig
from shards.filesystem import file_facts
from tasks.train_head import TrainJob
from tasks.training.ranks import Ranks
from tasks.training.stage_dataset import stage_dataset

CONFIG = {
    "network": {"kind": "resnet", "width": 4, "num_blocks": 1},
    "objective": {"kind": "cyclegan", "discriminator": {"width": 4, "num_layers": 2}},
    "phase": [{"epochs": 1, "fraction": 0.1, "batch_size": 2}],
}


@pytest.fixture
def job(finished: Path, tmp_path: Path) -> TrainJob:
    return TrainJob(resolve(TrainConfig, CONFIG, "test"), finished, tmp_path / "run")


def test_only_what_is_read_is_copied_and_only_once(job: TrainJob, tmp_path: Path) -> None:
    staged = stage_dataset(job, tmp_path / "local")
    assert staged.copied == staged.shards
    used = job.shards()
    tars = sorted(path.relative_to(staged.folder) for path in staged.folder.rglob("*.tar"))
    assert {path.as_posix().removesuffix(".tar") for path in tars} >= set(used)
    assert not any(path.parts[0] == "test" for path in tars)
    assert len(list(job.dataset.rglob("train/*.tar"))) > len(used)
    for path in tars:
        assert file_facts(staged.folder / path) == file_facts(job.dataset / path)
    again = stage_dataset(job, tmp_path / "local")
    assert (again.copied, again.shards) == (0, staged.shards)
    # The copy serves a run as the original does.
    there = job.reading(staged.folder).samples(Ranks())
    assert there.ids == job.samples(Ranks()).ids


def test_one_process_of_a_node_copies(job: TrainJob, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        staged = pool.starmap(stage_dataset, [(job, tmp_path / "local")] * 3)
    assert sorted(one.copied for one in staged) == [0, 0, staged[0].shards]


def test_a_shard_that_is_not_as_published(job: TrainJob, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(job.dataset, tmp_path / "broken"))
    (shard, *_) = job.shards()
    tar = broken / f"{shard}.tar"
    tar.write_bytes(b"\0" * tar.stat().st_size)
    with pytest.raises(ValueError, match="is not as it was published"):
        stage_dataset(replace(job, dataset=broken), tmp_path / "local")
    assert not list((tmp_path / "local").rglob("*.partial"))
