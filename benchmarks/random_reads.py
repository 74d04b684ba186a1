"""Reading pictures in random order through the manifest, against webdataset's sequential stream.

    python -m benchmarks.random_reads

Both read the same members of the same shards. The stream goes from end to end, as it must; the
reader takes them in random order.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

import webdataset

from benchmarks.shard_writing import IMAGE, pictures
from benchmarks.timing import judge, medians, say_machine
from schemas.config import DatasetConfig, DatasetSettings, SplitSettings
from schemas.config import StageSettings as Made
from schemas.generator import ProceduralSettings
from schemas.lease import Lease
from schemas.run import FileIdentity, Run
from schemas.sample import Stage
from shards.encoding import parquet_bytes, sha256
from shards.manifest import rebuild
from shards.owner import Owner
from shards.plan import make_plan, planned_samples, shard_names
from shards.publish import Publisher
from shards.reader import Reader
from shards.run import publish_run
from shards.staging import ShardStage

TARGET = 2.0
# Bytes of a picture, pairs: as PNGs of 512 px portraits, and of 64 px ones.
SIZES = {"512 px pairs": (450_000, 512), "64 px pairs": (8_000, 8192)}
STAGES: tuple[Stage, ...] = ("source", "target")


def publish(folder: Path, num_bytes: int, count: int) -> None:
    """A dataset whose pictures are random bytes."""
    model = Made(model="m", revision="1")
    config = DatasetConfig(
        name="bench",
        seed=0,
        fractions=(),
        split=SplitSettings(train=1, validation=0, test=0),
        generator=ProceduralSettings(),
        stage={"source": model, "target": Made(model="m", revision="1", strength=0.7)},
        dataset=DatasetSettings(prompt="p", count=count, stages=STAGES),
    )
    plan = make_plan(config, None)
    data = parquet_bytes(plan)
    identity = FileIdentity(sha256=sha256(data), rows=plan.num_rows)
    run = Run(config=config, plan=identity, names=None, code="", libraries={})
    publish_run(folder, run, data)
    images = pictures(64, num_bytes)
    shared = dict.fromkeys(STAGES, IMAGE)
    with Owner(folder) as owner:
        for shard, samples in planned_samples(plan):
            lease = Lease(shard=shard, attempt=1, samples=samples)
            with ShardStage(folder, lease, shared, size_px=512, made_by="") as stage:
                for number, sample in enumerate(samples):
                    source, target = images[number % 64], images[(number + 1) % 64]
                    stage.add(sample, {"source": source, "target": target})
                Publisher(folder, owner).commit(stage.finish(0.0))
    rebuild(folder, run, shard_names(plan))


def ours(folder: Path) -> int:
    """Every picture once, in random order; opening the manifest is part of it."""
    total = 0
    with Reader(folder) as reader:
        order = [(position, stage) for position in range(len(reader)) for stage in STAGES]
        random.Random(0).shuffle(order)
        for position, stage in order:
            total += len(reader.read(position, stage))
    return total


def theirs(folder: Path) -> int:
    """Every picture once, in the order of the tars."""
    urls = sorted(map(str, folder.glob("train/*.tar")))
    total = 0
    for sample in webdataset.WebDataset(urls, shardshuffle=False):
        total += sum(len(sample[f"{stage}.png"]) for stage in STAGES)
    return total


def main() -> int:
    """Time both on the same shards; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    say_machine()
    reached = True
    for what, (num_bytes, count) in SIZES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            publish(folder, num_bytes, count)
            assert ours(folder) == theirs(folder)
            seconds = medians(
                {"relume": partial(ours, folder), "WebDataset": partial(theirs, folder)},
                arguments.runs,
            )
        for peer, median in seconds.items():
            print(f"{what}, {peer}: {2 * count / median:,.0f} members/s")
        ratio = seconds["WebDataset"] / seconds["relume"]
        reached &= judge(f"{what}: members/s against the stream", ratio, TARGET)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
