"""A training step beside a plain loop and the reference; the loader beside decoding alone.

python -m benchmarks.train [--reference FOLDER] [--only steps loader ranks] [--steps 10]

All begin with the same weights and see the same pictures; losses are compared before times are.
Each configuration runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.heads_forward import plain
from benchmarks.plain_cyclegan import PlainCycleGan
from benchmarks.timing import judge, say_machine
from models.heads.junyanz import load_discriminator, load_generator
from schemas.train import TrainConfig, train_config
from tasks.learners import CycleLearner
from tasks.ranks import Ranks, join, part

CPU = torch.device("cpu")
PRESET = Path(__file__).parents[1] / "configs/cyclegan.toml"
RATE, CYCLE, IDENTITY = 2e-4, 10.0, 5.0
TARGETS = {"float32": 1.15, "bfloat16": 2.0}
MOST_APART, LOADER_SHARE = 1e-4, 0.9
Measured = dict[str, Any]


def config(precision: str) -> TrainConfig:
    """The reference's numbers; the pool is off, as it draws by itself."""
    return train_config(
        PRESET,
        {
            "objective": {"lambda_cycle": CYCLE, "lambda_identity": IDENTITY, "pool": 0},
            "optimiser": {"learning_rate": RATE},
            "numerics": {"precision": precision},
        },
    )


def pictures(size_px: int, steps: int, seed: int = 1) -> list[Tensor]:
    """A source and a target in -1..1 for each step."""
    chance = torch.Generator().manual_seed(seed)
    return [torch.rand(2, 1, 3, size_px, size_px, generator=chance) * 2 - 1 for _ in range(steps)]


def learner(precision: str, weights: Path | None) -> CycleLearner:
    """Ours, from first weights of its own or from those of the reference."""
    made = CycleLearner(config(precision), Ranks(), CPU)
    if weights is not None:
        for name, network in made.networks.items():
            load = load_discriminator if name.startswith("judge") else load_generator
            network.load_state_dict(load(weights / f"{name}.pth").state_dict())
    return made


def steps_of(kind: str, size_px: int, steps: int, threads: int, weights: Path | None) -> Measured:
    """Losses, seconds and peak memory of some steps."""
    torch.set_num_threads(threads)
    ours = learner("bfloat16" if kind == "bfloat16" else "float32", weights)
    step: Callable[[Tensor, Tensor], dict[str, float]]
    if kind == "plain":
        networks = {
            name: plain(one).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
            for name, one in ours.networks.items()
        }
        peer = PlainCycleGan(
            networks, learning_rate=RATE, lambda_cycle=CYCLE, lambda_identity=IDENTITY
        )
        step = peer.step
    else:
        step = lambda source, target: {  # noqa: E731
            name: float(loss) for name, loss in ours.step(source, target, 1).items()
        }
    losses, seconds = [], []
    for source, target in pictures(size_px, steps):
        begun = time.perf_counter()
        losses.append(step(source, target))
        seconds.append(time.perf_counter() - begun)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"losses": losses, "seconds": seconds, "peak_mb": peak_mb}


def alone(work: Callable[..., Measured], *arguments: object) -> Measured:
    """The same in a process that ends with it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *arguments).result()


def reference(folder: Path, work: Path, size_px: int, steps: int) -> Measured:
    """The same of the reference's networks; leaves its first weights in `work`."""
    program = Path(__file__).with_name("reference_cyclegan.py")
    words = [sys.executable, str(program), str(folder), str(work), str(size_px), str(steps)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise ValueError(f"{folder}: does not run: {done.stderr.strip().splitlines()[-1]}")
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    return measured


def apart(one: Measured, other: Measured) -> float:
    """The largest difference of a loss that both tell."""
    return max(
        abs(float(ours[name]) - float(theirs[name]))
        for ours, theirs in zip(one["losses"], other["losses"], strict=True)
        for name in theirs
    )


def compare_steps(size_px: int, steps: int, threads: int, folder: Path | None) -> bool:
    """Ours in two number formats against each peer."""
    with tempfile.TemporaryDirectory() as scratch:
        peers: dict[str, Measured] = {}
        if folder is not None:
            peers["reference"] = reference(folder, Path(scratch), size_px, steps)
        weights = Path(scratch) if peers else None
        peers["plain"] = alone(steps_of, "plain", size_px, steps, threads, weights)
        ours = {kind: alone(steps_of, kind, size_px, steps, threads, weights) for kind in TARGETS}
    median = {
        name: statistics.median(one["seconds"][1:] or one["seconds"])
        for name, one in (peers | ours).items()
    }
    for name, one in (peers | ours).items():
        print(f"{name}, {size_px} px: {median[name]:.2f} s a step, peak {one['peak_mb']:,.0f} MB")
    reached = True
    for name, peer in peers.items():
        difference = apart(ours["float32"], peer)
        reached &= difference < MOST_APART
        print(f"losses of {steps} float32 steps differ from {name} by at most {difference:.1e}")
        for kind, target in TARGETS.items():
            reached &= judge(f"{name} / ours in {kind}", median[name] / median[kind], target)
    return reached


def compare_loader(size_px: int, count: int, workers: int) -> bool:
    """Pictures a second of the loader against decoding alone on as many processes."""
    from schemas.train import DataSettings
    from shards.reader import Reader
    from tasks.sampling import make_order
    from tasks.training_pictures import TrainingPictures, batches
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
        seconds: dict[str, float] = {}
        steps, epochs = order.num_steps, range(12)
        ready = batches(made, order, data, epochs, 0)
        for _ in islice(ready, steps):  # workers start
            pass
        begun = time.perf_counter()
        told = sum(len(batch.sources) for batch in ready)
        seconds["loader"] = (time.perf_counter() - begun) / told
        with ProcessPoolExecutor(workers) as pool:
            pool.submit(int).result()
            parts = [everyone[one::workers] for one in range(workers)]
            begun = time.perf_counter()
            list(pool.map(decode, [dataset] * workers, parts, [len(epochs) - 1] * workers))
            decoded = rows.num_rows * (len(epochs) - 1)
            seconds["decoding"] = (time.perf_counter() - begun) / decoded
    for name, value in seconds.items():
        print(f"{name}, {size_px} px, {workers} processes: {1 / value:,.0f} pairs/s")
    return judge("loader / decoding", seconds["decoding"] / seconds["loader"], LOADER_SHARE)


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
    made = CycleLearner(config("float32"), ranks, CPU)
    seconds = []
    for source, target in pictures(size_px, steps, seed=rank):
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
