"""Writing a shard: tar, rows, checksums and fsync, against webdataset's ShardWriter without them.

python -m benchmarks.shard_writing
"""

from __future__ import annotations

import argparse
import io
import os
import random
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import webdataset
from PIL import Image

from benchmarks.timing import judge, medians, say_machine
from schemas.lease import Lease
from schemas.sample import PlannedSample, Stage, StageImage
from shards.filesystem import file_facts
from shards.staging import Picture, ShardStage, member_facts, picture

TARGET = 0.9
SIZE_PX = 512
# Bytes of a picture, shards, pairs in a shard: as PNGs of 512 px portraits, and of 64 px ones.
SIZES = {"512 px pairs": (450_000, 4, 64), "64 px pairs": (8_000, 4, 1024)}
IMAGE = StageImage(seed=0, model="m", revision="1", steps=4, guidance=0.0)


def samples(shard: str, count: int) -> tuple[PlannedSample, ...]:
    """Planned samples of one shard."""
    return tuple(
        PlannedSample(
            id=f"nm{number:07d}-00",
            split="train",
            half=None,
            shard=shard,
            index=number,
            train_rank=number,
            name=f"Name Number{number}",
            nconst=f"nm{number:07d}",
            prompt=f"A professional portrait of Name Number{number}",
            seeds={"source": number, "target": number + 1},
        )
        for number in range(count)
    )


def pictures(count: int, num_bytes: int) -> list[Picture]:
    """Bytes that begin as a PNG does, and that nobody looks into."""
    sink = io.BytesIO()
    Image.new("RGB", (8, 8)).save(sink, "PNG")
    chance = random.Random(0)
    return [picture(sink.getvalue() + chance.randbytes(num_bytes)) for _ in range(count)]


def ours(folder: Path, leases: list[Lease], images: list[Picture]) -> None:
    """Staged shards: every picture and file hashed, rows with offsets, all on the disk."""
    shared: dict[Stage, StageImage] = {"source": IMAGE, "target": IMAGE}
    for lease in leases:
        with ShardStage(folder, lease, shared, size_px=SIZE_PX, made_by="") as stage:
            for number, sample in enumerate(lease.samples):
                source, target = images[2 * number : 2 * number + 2]
                stage.add(sample, {"source": source, "target": target})
            stage.finish(0.0)


def theirs(folder: Path, leases: list[Lease], images: list[Picture]) -> None:
    """The same members through ShardWriter: no checksum, no fsync, no rows."""
    path, count = str(folder / "shard-%06d.tar"), len(leases[0].samples)
    with webdataset.ShardWriter(path, maxcount=count, maxsize=10**12, verbose=0) as writer:
        for lease in leases:
            for number, sample in enumerate(lease.samples):
                writer.write(
                    {
                        "__key__": sample.id,
                        "source.png": images[2 * number].png,
                        "target.png": images[2 * number + 1].png,
                        "json": member_facts(sample, SIZE_PX),
                    }
                )


def theirs_made_safe(folder: Path, leases: list[Lease], images: list[Picture]) -> None:
    """ShardWriter, and then what it leaves out: the checksum of the tar, and fsync."""
    theirs(folder, leases, images)
    for path in folder.glob("*.tar"):
        file_facts(path)
        with path.open("rb") as file:
            os.fsync(file.fileno())


def main() -> int:
    """Time both on the same bytes; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    arguments = parser.parse_args()
    say_machine()
    reached = True
    for what, (num_bytes, num_shards, count) in SIZES.items():
        names = [f"train/shard-{number:06d}" for number in range(num_shards)]
        leases = [Lease(shard=name, attempt=1, samples=samples(name, count)) for name in names]
        images = pictures(2 * count, num_bytes)
        total_mb = num_shards * sum(len(image.png) for image in images) / 1e6
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            seconds = medians(
                {
                    "relume": partial(ours, Path(name) / "shards", leases, images),
                    "ShardWriter": partial(theirs, Path(name) / "shards", leases, images),
                    "ShardWriter made safe": partial(
                        theirs_made_safe, Path(name) / "shards", leases, images
                    ),
                },
                arguments.runs,
                partial(empty_folder, Path(name) / "shards"),
            )
        for peer, median in seconds.items():
            print(
                f"{what}, {total_mb:.0f} MB, {peer}: {median:.3f} s, {total_mb / median:,.0f} MB/s"
            )
        safe = seconds["ShardWriter made safe"] / seconds["relume"]
        print(f"{what}: speed against ShardWriter with checksum and fsync: {safe:.2f}")
        ratio = seconds["ShardWriter"] / seconds["relume"]
        reached &= judge(f"{what}: speed against ShardWriter", ratio, TARGET)
    return 0 if reached else 1


def empty_folder(folder: Path) -> None:
    """A folder with nothing in it, and nothing on its way to the disk."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.sync()


if __name__ == "__main__":
    sys.exit(main())
