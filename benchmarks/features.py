"""The feature pass beside the bare network: python -m benchmarks.features [--pictures 32].

The bare network is fed pictures that are decoded and resized already; the pass reads a published
shard, checks every sha256, decodes, resizes, looks, and stages rows. Inception has the published
widths and random weights. Processor time is told beside the clock's, and both as medians of runs
that take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch

from benchmarks.timing import say_machine
from models.features.inception import SIDE_PX, load_inception
from models.features.resizing import resized
from models.tiny.inception import write_inception
from schemas.lease import Lease
from schemas.measure import FeatureNumerics, InceptionSettings, Look, SeenBy, View
from shards.encoding import read_parquet
from shards.layout import rows_path
from shards.provenance import ROOT
from shards.run import read_generator
from tasks.feature_shard import FeatureConfig, FeatureShard
from tasks.features.networks import device_of, weights_of
from tasks.features.places import LookPlace
from tasks.features.store import stored_shard
from tasks.published_pictures import published_picture
from workflows import generate, plan

SHARD = "train/shard-000000"


def main() -> None:
    """Print both rates, and how much slower the pass is."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pictures", type=int, default=32)
    options.add_argument("--size-px", type=int, default=512)
    options.add_argument("--batch-size", type=int, default=16)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--runs", type=int, default=5)
    asked = options.parse_args()
    numerics = FeatureNumerics(batch_size=asked.batch_size, threads=asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        ways = _ways(Path(folder), asked.pictures, asked.size_px, numerics)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for run in range(asked.runs + 1):
            for name, way in ways.items():
                begun, used = time.perf_counter(), time.process_time()
                way()
                if run:  # the first round warms caches
                    taken = time.perf_counter() - begun, time.process_time() - used
                    found[name].append(taken)
    say_machine()
    print(f"on {device_of(numerics)}, {asked.pictures} pictures of {asked.size_px} px")
    medians = {
        name: [statistics.median(one) for one in zip(*taken, strict=True)]
        for name, taken in found.items()
    }
    for name, (clock, processor) in medians.items():
        print(
            f"{name}: {asked.pictures / clock:.2f} pictures/s, {clock:.2f} s, "
            f"{processor:.2f} s of the processor"
        )
    ratios = [a / b for a, b in zip(medians["pass"], medians["bare"], strict=True)]
    print(
        f"the pass takes {ratios[0]:.3f} of the bare clock, {ratios[1]:.3f} of its processor time"
    )


def _ways(
    folder: Path, count: int, size_px: int, numerics: FeatureNumerics
) -> dict[str, Callable[[], object]]:
    dataset = folder / "pictures"
    words = ["--dataset.count", str(count), "--dataset.size-px", str(size_px)]
    words += ["--dataset.shard-size", str(count), "--split.train", "1", "--split.test", "0"]
    words += ["--split.validation", "0"]
    config = ROOT / "configs/demo.toml"
    plan.main([str(config), "--dataset", "baseline", "--out", str(dataset), *words])
    generate.main(["--here", str(dataset)])
    write_inception(folder / "weights", full_size=True)
    settings = InceptionSettings(weights=str(folder / "weights"))
    generator = read_generator(dataset)
    assert generator is not None
    made_by = generator.fingerprint()
    look = Look(
        view=View(pictures=made_by, stage="source", beside=made_by),
        seen_by={"inception-clean": SeenBy(network=settings, weights=weights_of(settings))},
        code="",
        libraries={},
        processor="",
    )
    place = LookPlace(look, dataset=str(dataset), beside=str(dataset))
    worker = FeatureShard(FeatureConfig(str(folder / "store"), {"key": place}, numerics))
    worker.setup()
    lease = Lease(shard=stored_shard("key", SHARD), attempt=1, samples=())
    network = load_inception(folder / "weights").to(device_of(numerics))
    rows = read_parquet(rows_path(dataset, SHARD)).to_pylist()
    shown = [resized(published_picture(dataset, row, "source"), "clean", SIDE_PX) for row in rows]

    def bare() -> None:
        torch.set_num_threads(numerics.threads)
        for begin in range(0, len(shown), numerics.batch_size):
            network.of_prepared(shown[begin : begin + numerics.batch_size])

    return {"bare": bare, "pass": lambda: worker.run(lease, nullcontext())}


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
