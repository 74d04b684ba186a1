"""Brings the shards that a training run reads to a disk of this node, once for all its processes.

The copy is a dataset with some of its shards missing: good to read from, and never written to.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from schemas.endings import ends_the_run
from shards import filesystem, layout
from shards.plan import read_plan, shard_names
from shards.publish import read_done
from shards.run import read_generator
from tasks.training.course import Job

# What a reader opens beside the tars.
_SMALL = (layout.RUN, layout.PLAN, layout.GENERATOR, layout.MANIFEST)


@dataclass(frozen=True, slots=True)
class StagedDataset:
    """The copy of a dataset on this node."""

    folder: Path
    shards: int
    copied: int
    """shards that were not there before"""


def stage_dataset(job: Job, place: Path) -> StagedDataset:
    """Copy what a training run reads into `place`, unless it is there; the copy."""
    needed = [
        *job.shards(),
        *(one for one in shard_names(read_plan(job.dataset)) if one.startswith("validation/")),
    ]
    generator = read_generator(job.dataset)
    assert generator is not None  # the run agreed on it
    folder = place / f"{job.dataset.name}-{generator.fingerprint()[:16]}"
    copied = 0
    with ends_the_run():
        filesystem.make_folder(folder)
        # The processes of a node come together; one copies, and the others find it done.
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name in _SMALL:
                _copy(job.dataset / name, folder / name)
            for shard in needed:
                copied += _copy_shard(job.dataset, folder, shard)
    return StagedDataset(folder, len(needed), copied)


def _copy_shard(dataset: Path, folder: Path, shard: str) -> bool:
    done = read_done(layout.done_path(dataset, shard)).tar
    assert done is not None  # only a shard of rows has none
    tar = layout.tar_path(folder, shard)
    if tar.exists() and tar.stat().st_size == done.bytes:
        return False
    filesystem.make_folder(tar.parent)
    source = layout.tar_path(dataset, shard)
    partial = tar.with_suffix(".partial")
    try:
        shutil.copyfile(source, partial)
        if filesystem.file_facts(partial) != done:
            raise ValueError(
                f"{source}: is not as it was published; relume generate {dataset} --mend"
            )
        partial.replace(tar)
    finally:
        partial.unlink(missing_ok=True)
    return True


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, partial)
    partial.replace(target)
