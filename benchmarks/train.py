"""A training step beside a plain loop and the reference; the loader beside decoding alone.

python -m benchmarks.train [--reference FOLDER] [--only steps loader ranks] [--steps 10]

All begin with the same weights and see the same pictures; losses are compared before times are.
Each configuration runs in a process of its own, so that its peak of memory is its own; they take
turns, step by step, so that a slow minute is everybody's.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.cyclegan_steps import config
from benchmarks.timing import judge, say_machine
from tasks.heads.learners import CycleLearner
from tasks.training.ranks import Ranks, join, part

TARGETS = {"float32": 1.15, "bfloat16": 2.0}
MOST_APART, LOADER_SHARE = 1e-4, 0.9
# Turns of the loader and of decoding alone, and how long readers take to fill up in between.
TURNS, SETTLE_S = 7, 1.5
Measured = dict[str, Any]


class Steps:
    """A process that takes a step whenever it is told to, and what it has told."""

    def __init__(self, words: Sequence[str], cwd: Path | None = None) -> None:
        self._name = " ".join(words)
        self._process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
        )
        self.told: list[Measured] = []

    def hear(self) -> str:
        """Its next line; ValueError with its last words where it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            *_, last = ["no word", *self._process.communicate()[1].strip().splitlines()]
            raise ValueError(f"{self._name}: {last}")
        return line

    def take(self) -> None:
        """One step."""
        assert self._process.stdin is not None
        self._process.stdin.write("step\n")
        self._process.stdin.flush()
        # What precedes it may be the libraries' own talk.
        self.told.append(json.loads(self.hear()))

    def end(self) -> None:
        """No more steps."""
        self._process.communicate()

    @property
    def seconds(self) -> list[float]:
        """Of each step but the first, which warms the caches."""
        return [one["seconds"] for one in self.told[1:] or self.told]

    @property
    def peak_mb(self) -> float:
        """Of its memory."""
        return float(self.told[-1]["peak_mb"])


def reference(folder: Path, weights: Path, size_px: int, threads: int) -> Steps:
    """The reference's own networks; their first weights are left in `weights`."""
    program = Path(__file__).with_name("reference_cyclegan.py")
    words = [str(program), str(folder), str(weights), str(size_px), str(threads)]
    started = Steps(words, folder)
    while started.hear().strip() != "ready":  # it says what it initialises
        pass
    return started


def apart(one: Steps, other: Steps) -> float:
    """The largest difference of a loss that both tell."""
    return max(
        abs(float(ours["losses"][name]) - float(theirs["losses"][name]))
        for ours, theirs in zip(one.told, other.told, strict=True)
        for name in theirs["losses"]
    )


def compare_steps(size_px: int, steps: int, threads: int, folder: Path | None) -> bool:
    """Ours in two number formats against each peer; they take turns, step by step."""
    peers, everyone = ["plain"], dict[str, Steps]()
    with tempfile.TemporaryDirectory() as scratch:
        begin_with: list[str] = []
        if folder is not None:
            peers, begin_with = ["reference", "plain"], [scratch]
            everyone["reference"] = reference(folder, Path(scratch), size_px, threads)
        for kind in ("plain", *TARGETS):
            words = ["-m", "benchmarks.cyclegan_steps", kind, str(size_px), str(threads)]
            everyone[kind] = Steps([*words, *begin_with])
        for _ in range(steps + 1):
            for one in everyone.values():
                one.take()
    for name, one in everyone.items():
        one.end()
        median = statistics.median(one.seconds)
        print(f"{name}, {size_px} px: {median:.2f} s a step, peak {one.peak_mb:,.0f} MB")
    reached = True
    for name in peers:
        peer = everyone[name]
        difference = apart(everyone["float32"], peer)
        reached &= difference < MOST_APART
        print(f"losses of {steps + 1} float32 steps differ from {name} by at most {difference:.1e}")
        for kind, target in TARGETS.items():
            ratios = [
                theirs / ours
                for theirs, ours in zip(peer.seconds, everyone[kind].seconds, strict=True)
            ]
            reached &= judge(f"{name} / ours in {kind}", statistics.median(ratios), target)
    return reached


def compare_loader(size_px: int, count: int, workers: int) -> bool:
    """Pictures a second of the loader against decoding alone on as many processes."""
    from schemas.train import DataSettings
    from shards.reader import Reader
    from tasks.training.pictures import TrainingPictures, batches
    from tasks.training.sampling import make_order
    from workflows import generate, plan

    with tempfile.TemporaryDirectory() as scratch:
        dataset = Path(scratch) / "pairs"
        words = ["--dataset", "baseline", "--dataset.stages", "source", "target"]
        words += ["--dataset.count", str(count), "--dataset.size-px", str(size_px)]
        words += ["--dataset.splits", "train", "--dataset.shard-size", "8"]
        plan.main(["configs/demo.toml", "--out", str(dataset), *words])
        generate.main(["--here", str(dataset)])
        rows = Reader(dataset, "train").rows.select(["id", "name", "nconst"])
        everyone, data = np.arange(rows.num_rows), DataSettings(loader_workers=workers)
        order = make_order(rows, "paired", 0, 4, str(dataset))
        made = TrainingPictures(dataset, everyone, order, data, size_px, slice(0, 4))
        parts = [everyone[one::workers] for one in range(workers)]
        loader, decoding = [], []
        turn, ahead = 2 * order.num_steps, 4 * workers
        with (
            closing(batches(made, order, data, range(1_000), 0)) as ready,
            ProcessPoolExecutor(workers) as pool,
        ):
            for _ in range(TURNS):
                # What was read ahead while others took their turn is not counted.
                for _ in islice(ready, 2 * ahead):
                    pass
                begun = time.perf_counter()
                told = sum(len(batch.sources) for batch in islice(ready, turn))
                loader.append((time.perf_counter() - begun) / told)
                time.sleep(SETTLE_S)
                begun = time.perf_counter()
                list(pool.map(decode, [dataset] * workers, parts, [2] * workers))
                decoding.append((time.perf_counter() - begun) / (2 * rows.num_rows))
    for name, seconds in (("loader", loader), ("decoding", decoding)):
        rate = 1 / statistics.median(seconds)
        print(f"{name}, {size_px} px, {workers} processes: {rate:,.0f} pairs/s")
    ratios = [alone / ours for alone, ours in zip(decoding, loader, strict=True)]
    return judge("loader / decoding", statistics.median(ratios), LOADER_SHARE)


def decode(dataset: Path, places: Sequence[int], times: int) -> None:
    """Both pictures of samples to levels, and nothing else."""
    from shards.reader import Reader

    reader = Reader(dataset, "train")
    for _ in range(times):
        for place in places:
            for stage in ("source", "target"):
                data = reader.read(int(place), stage)
                np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _rank(rank: int, count: int, store: str, size_px: int, steps: int) -> None:
    torch.set_num_threads(1)
    ranks = Ranks(rank, count, rank)
    join(ranks, "cpu", torch._C._distributed_c10d.FileStore(store, count))
    made = CycleLearner(config("float32"), ranks, torch.device("cpu"))
    chance = torch.Generator().manual_seed(rank)
    seconds = []
    for _ in range(steps):
        source, target = torch.rand(2, 1, 3, size_px, size_px, generator=chance) * 2 - 1
        begun = time.perf_counter()
        made.step(source, target, 1)
        seconds.append(time.perf_counter() - begun)
    if ranks.first:
        rate = count / statistics.median(seconds[1:])
        print(f"{count} processes of one thread, {size_px} px: {rate:.3f} pairs/s", flush=True)
    part(ranks)


def report_ranks(size_px: int, steps: int) -> None:
    """Pairs a second of one and of two processes."""
    context = multiprocessing.get_context("spawn")
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as scratch:
            store = str(Path(scratch) / "store")
            processes = [
                context.Process(target=_rank, args=(rank, count, store, size_px, steps))
                for rank in range(count)
            ]
            for one in processes:
                one.start()
            for one in processes:
                one.join()


def main() -> int:
    """Measure what is asked for; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, help="a copy of the reference implementation")
    parser.add_argument("--only", nargs="+", choices=("steps", "loader", "ranks"))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    say_machine()
    wanted, folder, reached = arguments.only or ("steps", "loader", "ranks"), None, True
    if arguments.reference is not None and (arguments.reference / "models/networks.py").exists():
        folder = arguments.reference
    else:
        print("no reference: name a folder with its models/networks.py by --reference FOLDER")
    if "steps" in wanted:
        reached &= compare_steps(arguments.size, arguments.steps, arguments.threads, folder)
    if "loader" in wanted:
        reached &= compare_loader(512, 48, arguments.threads)
    if "ranks" in wanted:
        report_ranks(arguments.size, max(arguments.steps, 2))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
