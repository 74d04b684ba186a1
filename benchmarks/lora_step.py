"""A LoRA step beside the bare forward and backward of the same networks, and the memory of both.

python -m benchmarks.lora_step [--size real|tiny] [--side-px 128] [--pairs 5] [--precision float32]

Bare is: pictures through the VAE, texts through the text encoder, the UNet there and back, with
everything that goes in prepared beforehand, and neither drawn, nor scaled, nor learned. Both take
turns, and ratios are medians over the pairs. With --size real the networks have the configuration
of Stable Diffusion 1.5 and random weights. Nothing is downloaded.

On a processor seconds are those that this process had, so that neighbours count less, and memory is
counted by torch's profiler; on a GPU both are the device's.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.random_sd15 import random_sd15
from benchmarks.timing import judge, say_machine
from models.stable_diffusion.encoding import encode_spread
from models.stable_diffusion.parts import Parts, find_parts, load_parts
from models.tiny.write import write
from schemas.lora import LoraConfig, LoraNumericsSettings
from tasks.lora.learner import LoraLearner, Shown, dtype_of
from tasks.lora.sampling import PhotoOrder
from tasks.training.ranks import Ranks

LEAST = 1 / 1.05
TEXT = "a close-up portrait of a smiling middle-aged woman with grey hair, natural light"


def main(argv: list[str] | None = None) -> int:
    """Print times, ratios and memory; 1 when the real size misses the target."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=("real", "tiny"), default="tiny")
    parser.add_argument("--side-px", type=int, default=128)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--checkpointing", nargs="+", default=["off", "on"], choices=("off", "on"))
    arguments = parser.parse_args(argv)
    say_machine()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    reached = True
    for checkpointing in (one == "on" for one in arguments.checkpointing):
        learner = _learner(arguments, device, checkpointing=checkpointing)
        for cached in (False, True):
            shown = _shown(learner.parts, arguments, cached=cached)
            bare = _bare(learner, shown)

            def ours(learner: LoraLearner = learner, shown: list[Shown] = shown) -> None:
                learner.step(shown, seed=1)

            seconds = _pairs(ours, bare, arguments.pairs, device)
            ratio = statistics.median(one / other for one, other in seconds)
            kinds = "kept latents" if cached else "pictures"
            told = f"{kinds}, checkpointing {'on' if checkpointing else 'off'}"
            steps, plain = (statistics.median(column) for column in zip(*seconds, strict=True))
            print(f"{told}: step {steps:.3f} s, bare {plain:.3f} s")
            reached &= judge(f"{told}: bare / step", 1 / ratio, LEAST)
        memory = [_peak_mb(work, device) for work in (ours, bare)]
        print(
            f"{told}: peak beyond the weights: step {memory[0]:,.0f} MB, bare {memory[1]:,.0f} MB"
        )
    return 0 if reached or arguments.size == "tiny" else 1


def _learner(
    arguments: argparse.Namespace, device: torch.device, *, checkpointing: bool
) -> LoraLearner:
    numerics = LoraNumericsSettings(precision=arguments.precision, checkpointing=checkpointing)
    config = LoraConfig(model="random", numerics=numerics)
    dtype = dtype_of(arguments.precision)
    if arguments.size == "real":
        parts = random_sd15(device, dtype)
    else:
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = find_parts(str(write("sd15", Path(folder) / "sd15")))
            parts = load_parts(checkpoint, device=device, dtype=dtype)
    return LoraLearner(config, parts, Ranks(), device)


def _shown(parts: Parts, arguments: argparse.Namespace, *, cached: bool) -> list[Shown]:
    side, count = arguments.side_px, arguments.batch * arguments.accumulation
    order = PhotoOrder(count, count, seed=0, flip=False, text_dropout=0.0, timesteps=1000)
    slots = order.batch(0, 0)
    drawn = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (count, 3, side, side), generator=drawn, dtype=torch.uint8)
    pieces = []
    for begin in range(0, count, arguments.batch):
        part = slice(begin, begin + arguments.batch)
        piece = Shown(slots[part], [TEXT] * arguments.batch, levels[part])
        if cached:
            piece = replace(piece, levels=None, encoded=encode_spread(parts, levels[part]))
        pieces.append(piece)
    return pieces


def _bare(learner: LoraLearner, pieces: list[Shown]) -> Callable[[], None]:
    """The networks alone, on inputs that are ready."""
    parts = learner.parts
    ready: list[tuple[Tensor | None, Tensor, Tensor, Tensor, Tensor]] = []
    for piece in pieces:
        unit = None
        if piece.levels is not None:
            unit = (piece.levels.to(parts.device).float() / 127.5 - 1).to(parts.vae.dtype)
        tokens = parts.tokenizer(
            list(piece.texts), padding="max_length", max_length=77, return_tensors="pt"
        ).input_ids.to(parts.device)
        side = _latent_side(piece)
        noisy = torch.randn(len(piece), 4, side, side, device=parts.device)
        steps = torch.tensor([slot.timestep for slot in piece.slots], device=parts.device)
        wanted = torch.randn_like(noisy)
        ready.append((unit, tokens, noisy.to(parts.unet.dtype), steps, wanted))

    def work() -> None:
        parts.unet.train()
        for unit, tokens, noisy, steps, wanted in ready:
            with torch.no_grad():
                if unit is not None:
                    parts.vae.encode(unit)
                states = parts.text_encoder(tokens)[0].to(parts.unet.dtype)
            with learner.autocast():
                told = parts.predict(noisy, steps, states)
            torch.autograd.backward((told.float() - wanted).pow(2).mean())
        for parameter in learner.parameters:
            parameter.grad = None

    return work


def _latent_side(piece: Shown) -> int:
    if piece.levels is not None:
        return piece.levels.shape[-1] // 8
    assert piece.encoded is not None
    return int(piece.encoded.shape[-1])


def _pairs(
    ours: Callable[[], None], bare: Callable[[], None], pairs: int, device: torch.device
) -> list[tuple[float, float]]:
    """Seconds of both, in turns; the first pair warms up and is not told."""
    found = []
    for number in range(pairs + 1):
        both = [_seconds(work, device) for work in ((ours, bare), (bare, ours))[number % 2]]
        found.append((both[0], both[1]) if number % 2 == 0 else (both[1], both[0]))
    return found[1:]


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    if device.type == "cpu":
        begun = time.process_time()
        work()
        return time.process_time() - begun
    torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - begun


def _peak_mb(work: Callable[[], None], device: torch.device) -> float:
    """The most memory that was in use at once, beyond what was before."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        work()
    results: Any = profile.profiler
    changes = [one.nbytes() for one in results.kineto_results.events() if one.name() == "[memory]"]
    held = most = 0
    for change in changes:
        held += change
        most = max(most, held)
    return most / 1e6


if __name__ == "__main__":
    raise SystemExit(main())
