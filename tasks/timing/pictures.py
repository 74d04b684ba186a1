"""Times what makes pictures: models with everything that belongs to them, and a head.

Text encoders and VAE are included: every run has a prompt that was never read before.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from models.generators.generator import Generator
from models.heads.enhancer import Enhancer
from models.heads.head import Head
from schemas.benchmark import BenchmarkSettings, Timing
from schemas.endings import DoesNotFit
from schemas.head import Precision
from schemas.sample import PlannedSample, Stage
from tasks.generate_shard import encode_png, to_levels
from tasks.timing.stopwatch import Stopwatch

# A batch that gains less is not followed by a larger one.
_LEAST_GAIN = 1.02
_numbers = itertools.count()
Work = Callable[[int], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedHead:
    """A head on a device, as it is applied to a source that was just made."""

    enhancer: Enhancer
    device: torch.device

    @classmethod
    def of(cls, head: Head, device: torch.device, precision: Precision | None) -> TimedHead:
        """The head in the number format asked for, or the device's usual one."""
        usual: Precision = "bfloat16" if device.type == "cuda" else "float32"
        return cls(enhancer=Enhancer(head.network, device, precision or usual), device=device)


def new_samples(count: int) -> list[PlannedSample]:
    """Samples with prompts and seeds that were never used before in this process."""
    made = []
    for number in itertools.islice(_numbers, count):
        made.append(
            PlannedSample(
                id=f"timed-{number}",
                split="test",
                half="A",
                shard="test/shard-000000",
                index=number,
                train_rank=None,
                name=None,
                nconst=None,
                prompt=f"A professional portrait of Person {number}",
                seeds={"source": 3 * number, "teacher": 3 * number + 1},
            )
        )
    return made


def makes(generator: Generator, stage: Stage) -> Work:
    """Makes a batch of a stage's pictures."""
    return lambda batch: generator.make(new_samples(batch))[stage]


def makes_and_enhances(generator: Generator, head: TimedHead) -> Work:
    """Makes a batch of sources and puts them through the head."""

    def work(batch: int) -> object:
        pictures = to_levels(generator.make(new_samples(batch))["source"])
        return head.enhancer(list(pictures), batch_size=batch)

    return work


def enhances_on_device(head: TimedHead, size_px: int) -> Work:
    """Puts a batch that lies on the device through the network, and leaves the outcome there."""
    noise = np.random.default_rng(0).integers(0, 256, (1, size_px, size_px, 3), np.uint8)
    held: dict[int, torch.Tensor] = {}

    def work(batch: int) -> object:
        if batch not in held:
            held.clear()
            held[batch] = torch.from_numpy(np.repeat(noise, batch, 0)).to(head.device)
        return head.enhancer.on_device(held[batch])

    return work


def enhances_files(head: TimedHead, size_px: int) -> Work:
    """Reads a batch of PNGs, enhances them, and writes PNGs, as `relume enhance` does."""
    noise = np.random.default_rng(0).normal(0, 12, (size_px, size_px, 3))
    ramp = np.linspace(40, 200, size_px)[:, None, None]
    png = encode_png(np.clip(ramp + noise, 0, 255).astype(np.uint8)).png

    def work(batch: int) -> object:
        pictures = [np.asarray(Image.open(io.BytesIO(png))) for _ in range(batch)]
        return [encode_png(one) for one in head.enhancer(pictures, batch_size=batch)]

    return work


def time_row(
    what: str, size_px: int, work: Work, watch: Stopwatch, settings: BenchmarkSettings
) -> Timing:
    """Latency of one picture, then throughput of the best batch, with its memory and energy."""
    seconds = watch.seconds(lambda: work(1), settings.warm_ups, settings.repeats)
    best, left_out = (1, seconds), None
    for batch in settings.batches[1:]:
        try:
            taken = _batch_seconds(work, batch, watch, settings)
        except (DoesNotFit, torch.cuda.OutOfMemoryError):
            left_out = f"{batch} at once do not fit into memory"
            break
        gain = (batch / float(np.median(taken))) / (best[0] / float(np.median(best[1])))
        if gain > 1:
            best = batch, taken
        if gain < _LEAST_GAIN:
            left_out = f"{batch} at once gain nothing"
            break
    batch = best[0]
    watch.forget_peak()
    before = watch.joules()
    taken = _batch_seconds(work, batch, watch, settings)
    after = watch.joules()
    used = None if before is None or after is None else after - before
    num_pictures = batch * (settings.search_repeats + 1)
    return Timing(
        what=what,
        size_px=size_px,
        seconds=tuple(seconds),
        batch=batch,
        batch_seconds=tuple(taken),
        memory_bytes=watch.peak_bytes(),
        joules_per_picture=None if used is None else used / num_pictures,
        left_out=left_out,
    )


def _batch_seconds(
    work: Work, batch: int, watch: Stopwatch, settings: BenchmarkSettings
) -> list[float]:
    return watch.seconds(lambda: work(batch), 1, settings.search_repeats)
