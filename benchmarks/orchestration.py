"""How busy Relume keeps sixteen GPUs, beside a plain loop on each and beside Ray Data.

The GPUs are timed: pictures come after as long as FLUX takes on one (0.15 s a source, 1.3 s a
target), are 512 px, really encoded, and really published. One run makes the same pairs three ways.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import ray
import webdataset
from PIL import Image

from benchmarks.timed_gpu import SOURCE_S, TARGET_S, TimedGpu, TimedShard
from benchmarks.timing import judge, say_machine
from cluster.connect import connected
from cluster.engine import Engine
from cluster.seats import Seats
from schemas.config import dataset_config, read_preset
from schemas.lease import Lease, StagedShard
from schemas.run import FileIdentity, Run
from shards.encoding import parquet_bytes, sha256
from shards.owner import Owner
from shards.plan import make_plan, planned_samples, shard_names
from shards.publish import Publisher
from shards.run import publish_run
from tasks.generate_shard import PNG_LEVEL, GenerateConfig
from tasks.making import making_of

PAIR_S = SOURCE_S + TARGET_S
BATCH = 8


@dataclass(frozen=True)
class Outcome:
    """What one way of working came to."""

    busy_share: float
    wall_s: float
    cpu_s: float
    told: str = ""


def ours(folder: Path, gpus: int, leases: int, pairs: int) -> Outcome:
    """Leases on the engine, published by the owner."""
    config = dataset_config(read_preset(Path("configs/demo.toml")), "enhanced", "demo")
    dataset = replace(
        config.dataset,
        prompt="p",
        count=gpus * leases * pairs,
        size_px=512,
        shard_size=pairs,
        batch_size=BATCH,
        splits=("train",),
    )
    split = replace(config.split, validation=0, test=0)
    config = replace(config, dataset=dataset, split=split)
    plan = make_plan(config, None)
    data = parquet_bytes(plan)
    run = Run(
        config=config,
        plan=FileIdentity(sha256=sha256(data), rows=plan.num_rows),
        names=None,
        code="",
        libraries={},
    )
    publish_run(folder, run, data)
    record = making_of(config, run.plan.sha256)
    work = (
        Lease(shard=shard, attempt=1, samples=samples) for shard, samples in planned_samples(plan)
    )
    seats = Seats(num_cpus=1, most=gpus)
    engine = Engine(TimedShard, GenerateConfig(str(folder), config, record), seats)
    cpu_s, begun = cpu_seconds(), time.monotonic()
    with Owner(folder) as owner, closing(engine.run(work, len(shard_names(plan)))) as outcomes:
        publisher = Publisher(folder, owner)
        left = len(shard_names(plan))
        for outcome in outcomes:
            if isinstance(outcome, StagedShard):
                publisher.commit(outcome)
                left -= 1
                if not left:
                    cpu_s = cpu_seconds() - cpu_s
                    wall_s = time.monotonic() - begun
    usage = engine.usage
    between_ms = usage.idle_s / max(usage.leases - gpus, 1) * 1000
    told = f"{between_ms:.1f} ms between leases, {usage.starved} times without a queued lease"
    gpu_s = plan.num_rows * PAIR_S
    return Outcome(gpu_s / (usage.busy_s + usage.idle_s), wall_s, cpu_s, told)


@ray.remote
class Loop:
    """One GPU's plain script: generate, encode, write, in turn."""

    def __init__(self) -> None:
        self._gpu = TimedGpu()

    def run(self, path: str, count: int) -> tuple[float, float]:
        """Seconds of the GPU, and of everything."""
        begun = time.monotonic()
        with webdataset.TarWriter(path) as writer:
            for start in range(0, count, BATCH):
                pictures = self._gpu.make([None] * BATCH)  # type: ignore[list-item]
                for number in range(BATCH):
                    key = f"sample-{start + number:06d}"
                    pair = {f"{stage}.png": png(pictures[stage][number]) for stage in pictures}
                    writer.write({"__key__": key, **pair})
        return self._gpu.busy_s, time.monotonic() - begun


def loops(folder: Path, gpus: int, leases: int, pairs: int) -> Outcome:
    """The plain script on every GPU at once."""
    actors = [Loop.options(num_cpus=1).remote() for _ in range(gpus)]  # type: ignore[attr-defined]
    cpu_s, begun = cpu_seconds(), time.monotonic()
    jobs = [
        actor.run.remote(str(folder / f"{number}.tar"), leases * pairs)
        for number, actor in enumerate(actors)
    ]
    seconds = ray.get(jobs)
    outcome = Outcome(
        sum(gpu for gpu, _ in seconds) / sum(whole for _, whole in seconds),
        time.monotonic() - begun,
        cpu_seconds() - cpu_s,
    )
    for actor in actors:
        ray.kill(actor)
    return outcome


class Generate:
    """Ray Data's stage with a GPU."""

    def __init__(self) -> None:
        self._gpu = TimedGpu()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Pictures of a batch, and when the GPU was at them."""
        begun = time.time()
        pictures = self._gpu.make([None] * len(batch["id"]))  # type: ignore[list-item]
        spent = np.full(len(batch["id"]), (time.time() - begun) / len(batch["id"]))
        ended = np.full(len(batch["id"]), time.time())
        return {
            "id": batch["id"],
            "spent": spent,
            "ended": ended,
            **{str(stage): made for stage, made in pictures.items()},
        }


class Write:
    """Ray Data's stage that encodes and writes."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A tar of the batch."""
        with webdataset.TarWriter(f"{self._folder}/{batch['id'][0]:08d}.tar") as writer:
            for number, one in enumerate(batch["id"]):
                pair = {f"{s}.png": png(batch[s][number]) for s in ("source", "target")}
                writer.write({"__key__": f"sample-{one:06d}", **pair})
        return {key: batch[key] for key in ("id", "spent", "ended")}


def ray_data(folder: Path, gpus: int, leases: int, pairs: int) -> Outcome:
    """The same on Ray Data: a stage of actors with GPUs, then one that encodes and writes."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    cpu_s, begun = cpu_seconds(), time.time()
    count = gpus * leases * pairs
    rows = (
        ray.data.range(count, override_num_blocks=count // BATCH)
        .map_batches(Generate, batch_size=BATCH, concurrency=gpus, num_cpus=1)
        .map_batches(
            Write, fn_constructor_args=(str(folder),), batch_size=BATCH, concurrency=4, num_cpus=1
        )
        .take_all()
    )
    assert len(rows) == count
    spent = sum(row["spent"] for row in rows)
    first = min(row["ended"] - row["spent"] * BATCH for row in rows)
    share = spent / (gpus * (max(row["ended"] for row in rows) - first))
    return Outcome(share, time.time() - begun, cpu_seconds() - cpu_s)


def png(pixels: np.ndarray) -> bytes:
    """Encoded as Relume does."""
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG", compress_level=PNG_LEVEL)
    return sink.getvalue()


def cpu_seconds() -> float:
    """Processor seconds of this process and of all that it started and that still live."""
    me = psutil.Process()
    total = 0.0
    for process in [me, *me.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def main() -> int:
    """Make the same pairs three ways, and print shares and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", type=int, default=16)
    parser.add_argument("--leases", type=int, default=3, help="leases of each GPU")
    parser.add_argument("--pairs", type=int, default=32, help="pairs of a lease")
    parser.add_argument("--ways", nargs="*", default=["relume", "plain loop", "Ray Data"])
    given = parser.parse_args()
    say_machine()
    ways: dict[str, Callable[[Path, int, int, int], Outcome]] = {
        "relume": ours,
        "plain loop": loops,
        "Ray Data": ray_data,
    }
    found = {}
    pairs = given.gpus * given.leases * given.pairs
    ideal_s = given.leases * given.pairs * PAIR_S
    print(f"{pairs:,} pairs on {given.gpus} timed GPUs, at best {ideal_s:.0f} s")
    for name in given.ways:
        way = ways[name]
        with tempfile.TemporaryDirectory() as folder, connected("local", num_cpus=given.gpus + 8):
            found[name] = way(Path(folder), given.gpus, given.leases, given.pairs)
        one = found[name]
        print(
            f"{name:10}  busy {one.busy_share:.2%}  {one.wall_s:.0f} s  "
            f"{one.cpu_s / pairs:.3f} CPU-s a pair  {one.told}",
            flush=True,
        )
    if "relume" not in found:
        return 0
    return 0 if judge("relume's busy share", found["relume"].busy_share, 0.98) else 1


if __name__ == "__main__":
    raise SystemExit(main())
