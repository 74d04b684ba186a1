"""A guidance step beside the bare forward and backward of the same networks, and what it keeps.

python -m benchmarks.guide_step [--real] [--device cpu] [--runs 5]

Networks have random weights: speed and memory do not depend on them. --real has the shapes of
Stable Diffusion 1.5 at 512 px, for a GPU; without it a small one of the same make at 128 px. A step
is 2 x 8 pairs, from levels to the optimiser's step. The bare peer encodes pictures and texts, runs
teacher and student and goes back, for as many pairs, and does nothing besides. They take turns; on
a processor its own seconds are counted, which others on the machine hardly change.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from benchmarks.timing import say_machine
from models.quiet import quiet
from models.stable_diffusion.noise import NoiseSchedule
from models.stable_diffusion.parts import Parts
from models.tiny.texts import clip_tokenizer
from schemas.guide import GuideConfig
from schemas.run import ModelIdentity
from schemas.settings import resolve
from tasks.guidance.learner import GuideLearner
from tasks.guidance.pairs import GuideBatch
from tasks.lora.sampling import PhotoSlot
from tasks.training.ranks import Ranks

MOST = 0.05
BATCH, PIECES = 2, 8


def random_parts(device: torch.device, *, real: bool) -> Parts:
    """Stable Diffusion's parts with random weights, whole or in small."""
    quiet()
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    widths = (320, 640, 1280, 1280) if real else (64, 128, 256, 256)
    text_width, vae_widths = (768, (128, 256, 512, 512)) if real else (128, (32, 64, 64, 64))
    with device:
        unet = UNet2DConditionModel(
            sample_size=64,
            block_out_channels=widths,
            layers_per_block=2 if real else 1,
            attention_head_dim=8,
            cross_attention_dim=text_width,
        )
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=vae_widths,
            layers_per_block=2 if real else 1,
            latent_channels=4,
        )
        tokenizer = clip_tokenizer()
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=49408 if real else len(tokenizer),
                hidden_size=text_width,
                intermediate_size=4 * text_width,
                num_hidden_layers=12 if real else 4,
                num_attention_heads=12 if real else 4,
            )
        )
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    for network in (unet, vae, text_encoder):
        network.eval().requires_grad_(False)
    return Parts(
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        schedule=NoiseSchedule((1 - betas).cumprod(0).to(device), "epsilon"),
        identity=ModelIdentity(model="random", revision="none", weights={}),
        folder=Path(),
    )


def config_of(device: str, *, real: bool, checkpointing: bool) -> GuideConfig:
    """The preset's settings, but for the number format of processors."""
    numerics = {
        "precision": "bfloat16" if real else "float32",
        "checkpointing": checkpointing,
        "device": device,
    }
    return resolve(GuideConfig, {"model": "random", "numerics": numerics}, "benchmark")


def batch_of(count: int, size_px: int) -> GuideBatch:
    """Random pairs with the face in the middle."""
    chance = torch.Generator().manual_seed(0)
    good, bad = (
        torch.randint(0, 256, (count, 3, size_px, size_px), generator=chance, dtype=torch.uint8)
        for _ in range(2)
    )
    mask = torch.zeros(count, 1, size_px, size_px, dtype=torch.uint8)
    quarter = size_px // 4
    mask[..., quarter : 3 * quarter, quarter : 3 * quarter] = 1
    slots = [
        PhotoSlot(
            sample=n,
            mirrored=False,
            without_text=n % 5 == 0,
            timestep=(37 * n) % 500,
            noise_seed=n,
            latent_seed=n,
        )
        for n in range(count)
    ]
    return GuideBatch(slots, ["a man on a scooter"] * count, good, bad, mask, [])


def bare(learner: GuideLearner, size_px: int, device: torch.device) -> Callable[[], object]:
    """The networks alone, on tensors that are there already."""
    parts, dtype = learner.parts, learner.parts.vae.dtype
    pixels = torch.randn(BATCH, 3, size_px, size_px, device=device, dtype=dtype)
    tokens = torch.zeros(BATCH, 77, dtype=torch.long, device=device)
    steps = torch.full((BATCH,), 250, device=device)
    noisy = torch.randn(BATCH, 4, size_px // 8, size_px // 8, device=device, dtype=dtype)
    teacher: Any = learner.teacher
    student: Any = learner.student
    half = dtype is not torch.float32

    def run() -> None:
        for _ in range(PIECES):
            with torch.no_grad():
                for _ in range(2):
                    parts.vae.encode(pixels)
                texts = parts.text_encoder(tokens)[0]
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
                with torch.no_grad():
                    teacher(noisy, steps, encoder_hidden_states=texts)
                told = student(noisy, steps, encoder_hidden_states=texts).sample
            torch.autograd.backward(told.float().square().mean())
        learner.optimiser.zero_grad(set_to_none=True)
        _settle(device)

    return run


def kept_bytes(learner: GuideLearner, piece: GuideBatch) -> int:
    """What one forward of the student keeps for the way back, weights apart."""
    weights = {one.untyped_storage().data_ptr() for one in learner.student.parameters()}
    seen: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = learner.losses(piece).mean()
        found = sum(seen.values())
        del loss
    return found


def compared(
    step: Callable[[], object], plain: Callable[[], object], runs: int, device: torch.device
) -> tuple[tuple[float, float], float]:
    """Median seconds of both, and by how much more the first takes: the median of its turns."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    turns: list[tuple[float, float]] = []
    for run in range(runs + 1):
        begun = clock()
        step()
        between = clock()
        plain()
        if run:  # the first turn warms the caches
            turns.append((between - begun, clock() - between))
    ours, theirs = (statistics.median(one) for one in zip(*turns, strict=True))
    return (ours, theirs), statistics.median(one / other for one, other in turns) - 1


def main(argv: list[str] | None = None) -> int:
    """Time both, and say what is kept with and without checkpointing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true", help="the shapes of Stable Diffusion 1.5")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", type=int, help="pixels of a side")
    asked = parser.parse_args(argv)
    device, size_px = torch.device(asked.device), asked.size or (512 if asked.real else 128)
    torch.set_num_threads(1)
    say_machine()
    passed = True
    for checkpointing in (False, True):
        parts = random_parts(device, real=asked.real)
        config = config_of(asked.device, real=asked.real, checkpointing=checkpointing)
        if config.numerics.precision == "bfloat16":
            parts.vae.to(torch.bfloat16)
            parts.text_encoder.to(torch.bfloat16)
        learner = GuideLearner(config, parts, Ranks(), device)
        batch = batch_of(BATCH * PIECES, size_px)
        kept = kept_bytes(learner, batch.pieces(BATCH)[0])
        peers = {"step": _step(learner, batch, device), "bare": bare(learner, size_px, device)}
        seconds, more = compared(peers["step"], peers["bare"], asked.runs, device)
        reached = more <= MOST
        passed &= reached
        how = "with" if checkpointing else "without"
        print(
            f"{how} checkpointing: {seconds[0]:.2f} s a step of {BATCH} x {PIECES} pairs, "
            f"bare {seconds[1]:.2f} s: {more:+.1%} (target: at most {MOST:.0%}) "
            f"{'ok' if reached else 'MISSED'}; kept for the way back {kept / 1e6:,.0f} MB"
            + _peak(device)
        )
    return 0 if passed else 1


def _step(learner: GuideLearner, batch: GuideBatch, device: torch.device) -> Callable[[], object]:
    def run() -> None:
        learner.step(batch.pieces(BATCH))
        _settle(device)

    return run


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _peak(device: torch.device) -> str:
    if device.type != "cuda":
        return ""
    peak = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return f", at most {peak / 1e9:.1f} GB in all"


if __name__ == "__main__":
    raise SystemExit(main())
