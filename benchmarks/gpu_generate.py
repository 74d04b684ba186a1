"""FLUX pairs on one GPU: this generator in several batch sizes, beside a plain diffusers loop.

python -m benchmarks.gpu_generate [--batches 1 4 8 16] [--runs 3]

Weights are random and of full size; nothing is downloaded. With --tiny the same road is gone in
miniature on any machine, and the figures mean nothing.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from benchmarks.timing import judge, say_machine
from models.generators.diffusers_pair.generator import DiffusersGenerator
from models.generators.diffusers_pair.loading import compile_blocks
from schemas.config import DatasetConfig, StageSettings, dataset_config, read_preset
from schemas.sample import PlannedSample, Stage
from schemas.settings import as_plain, resolve
from tasks.forecast import GPU_TFLOP_PER_S

SOURCES_PER_S, PAIRS_PER_S, TIMES_THE_LOOP = 6.0, 0.75, 2.0
PRESET = Path("configs/paper.toml")
STAGES: tuple[Stage, Stage] = ("source", "target")
# A generator for each stage, so that each can be timed alone.
Generators = dict[Stage, DiffusersGenerator]
# Compiled blocks stay compiled, so eager comes first.
MODES = ("eager", "compiled")
_numbers = iter(range(10**9))


@dataclass(frozen=True, slots=True)
class Rates:
    """Pictures a second of each stage, alone, and of both in turn."""

    source: float
    target: float

    @property
    def pairs(self) -> float:
        """Pairs a second, when one worker makes sources and targets in turn."""
        return 1 / (1 / self.source + 1 / self.target)


def main(argv: list[str] | None = None) -> int:
    """Print the table; 1 when a target is missed, 2 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args(argv)
    if not arguments.tiny and not torch.cuda.is_available():
        print("error: no CUDA device here; add --tiny to go the same road without", file=sys.stderr)
        return 2
    say_machine()
    with tempfile.TemporaryDirectory() as folder:
        generators, config = _tiny(Path(folder)) if arguments.tiny else _full()
        print(f"on {_gpu() or 'the processor'}, {config.dataset.size_px} px")
        loop = plain_loop(generators, config, arguments.runs)
        _say("plain loop", 1, loop, config)
        best = loop
        for mode in sorted(arguments.modes, reverse=True):
            if mode == "compiled":
                _compile(generators)
            for batch in arguments.batches:
                rates = measure(generators, batch, arguments.runs)
                if rates is None:
                    print(f"{mode:10} {batch:5}  out of memory")
                    continue
                _say(mode, batch, rates, config)
                best = max(best, rates, key=lambda rates: rates.pairs)
    if arguments.tiny:
        print("the road works; these figures say nothing of FLUX")
        return 0
    reached = [
        judge("sources/s", best.source, SOURCES_PER_S),
        judge("pairs/s", best.pairs, PAIRS_PER_S),
        judge("times the plain loop", best.pairs / loop.pairs, TIMES_THE_LOOP),
    ]
    return 0 if all(reached) else 1


def _compile(generators: Generators) -> None:
    for stage in STAGES:
        pipeline = generators[stage].pipelines[stage]
        compile_blocks(pipeline.run, pipeline.family)


def measure(generators: Generators, batch: int, runs: int) -> Rates | None:
    """Median rates of a batch size; None where it does not fit."""
    sources, targets = (generators[stage] for stage in STAGES)
    try:
        given = sources.make(_samples(batch))
        source = _median(lambda: sources.make(_samples(batch)), runs)
        target = _median(lambda: targets.make(_samples(batch), given), runs)
    except ValueError as error:
        if "too large for this GPU" not in str(error):
            raise
        return None
    return Rates(batch / source, batch / target)


def plain_loop(generators: Generators, config: DatasetConfig, runs: int) -> Rates:
    """One picture at a time from its prompt, the way the documentation of diffusers shows."""
    pictures: list[Image.Image] = []
    size = {"height": config.dataset.size_px, "width": config.dataset.size_px}

    def settings(stage: StageSettings) -> dict[str, float]:
        return {"num_inference_steps": stage.steps, "guidance_scale": stage.guidance}

    def source() -> None:
        run, sample = generators["source"].pipelines["source"].run, _samples(1)[0]
        seed = torch.Generator().manual_seed(sample.seeds["source"])
        call = settings(config.stage["source"]) | size
        pictures[:] = run(sample.prompt, generator=seed, **call, max_sequence_length=256).images

    def target() -> None:
        run, sample = generators["target"].pipelines["target"].run, _samples(1)[0]
        seed = torch.Generator().manual_seed(sample.seeds["target"])
        stage = config.stage["target"]
        call = settings(stage) | size | {"strength": stage.strength}
        run(sample.prompt, image=pictures[0], generator=seed, **call, max_sequence_length=256)

    return Rates(1 / _median(source, runs), 1 / _median(target, runs))


def _median(work: Callable[[], object], runs: int) -> float:
    seconds = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    # The first one compiles and fills caches.
    return statistics.median(seconds[1:])


def _samples(count: int) -> list[PlannedSample]:
    """New prompts and seeds every time, so that no encoding is found again."""
    numbers = [next(_numbers) for _ in range(count)]
    return [
        PlannedSample(
            id=f"gpu-{number}",
            split="train",
            half=None,
            shard="train/shard-000000",
            index=0,
            train_rank=number,
            name=None,
            nconst=None,
            prompt=f"A professional portrait of Person {number}",
            seeds={"source": 2 * number, "target": 2 * number + 1},
        )
        for number in numbers
    ]


def _full() -> tuple[Generators, DatasetConfig]:
    from benchmarks.random_flux import random_flux

    config = dataset_config(read_preset(PRESET), "enhanced", str(PRESET))
    generators = {stage: DiffusersGenerator(config) for stage in STAGES}
    for stage, pipeline in random_flux(torch.device("cuda")).items():
        generators[stage].pipelines[stage] = pipeline
    return generators, config


def _tiny(folder: Path) -> tuple[Generators, DatasetConfig]:
    from models.tiny.write import write

    tables = as_plain(dataset_config(read_preset(PRESET), "enhanced", str(PRESET)))
    tables["generator"]["device"] = "auto"
    tables["dataset"]["size_px"] = 64
    for stage, kind in zip(STAGES, ("flux-schnell", "flux-dev"), strict=True):
        tables["stage"][stage] |= {"model": str(write(kind, folder / kind)), "steps": 4}
    config = resolve(DatasetConfig, tables, "tiny")
    generators = {stage: DiffusersGenerator(config) for stage in STAGES}
    for stage, generator in generators.items():
        generator.load((stage,))
    return generators, config


def _say(mode: str, batch: int, rates: Rates, config: DatasetConfig) -> None:
    line = (
        f"{mode:10} {batch:5}  {rates.source:7.3f} sources/s  {rates.target:7.3f} targets/s  "
        f"{rates.pairs:7.3f} pairs/s"
    )
    gpu = _gpu()
    if gpu and config.dataset.size_px == 512:
        peak = next((limit for name, limit in GPU_TFLOP_PER_S.items() if name in gpu), None)
        stages = [config.stage[stage] for stage in STAGES]
        tflop = sum(s.tflop_fixed + s.tflop_per_step * s.effective_steps for s in stages)
        line += f"  {torch.cuda.max_memory_allocated() / 2**30:5.1f} GiB"
        line += f"  {rates.pairs * tflop / peak:4.0%} of the bf16 limit" if peak else ""
        torch.cuda.reset_peak_memory_stats()
    print(line, flush=True)


def _gpu() -> str | None:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


if __name__ == "__main__":
    sys.exit(main())
