"""Forward, and forward with backward, of the heads against the same network in plain form.

python -m benchmarks.heads_forward

Plain is what the reference does: InstanceNorm2d, float32, channels first. Weights are the same, and
the outputs are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.timing import judge, medians, say_machine
from models.heads.blocks import HeadNetwork, InstanceNorm
from models.heads.build import build_network
from schemas.head import NetworkSettings, ResnetSettings, UnetSettings

TARGET_PX, TARGET = 512, 2.4
HEADS: dict[str, NetworkSettings] = {
    "cyclegan": ResnetSettings(),
    "esa_cyclegan": ResnetSettings(attention="esa"),
    "unet": UnetSettings(),
}


def plain(network: nn.Module) -> nn.Module:
    """The same function with the norm that the reference uses."""
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, InstanceNorm):
                setattr(parent, name, nn.InstanceNorm2d(child.channels))
    return network


def channels_last(network: HeadNetwork, dtype: torch.dtype) -> nn.Module:
    """The fast path: weights of this format with their channels last."""
    network = copy.deepcopy(network).to(dtype)
    return cast(nn.Module, network.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def forward(network: nn.Module, pictures: Tensor) -> Tensor:
    """Without gradients."""
    with torch.inference_mode():
        return cast(Tensor, network(pictures))


def forward_and_backward(network: nn.Module, pictures: Tensor) -> None:
    """As a step of training does it, without the optimizer."""
    network.zero_grad()
    network(pictures).square().mean().backward()


def autocast(network: nn.Module, pictures: Tensor) -> None:
    """The same in bfloat16, as the trainer does it: weights stay float32."""
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        output = network(pictures)
    output.square().mean().backward()


def measure(name: str, size_px: int, runs: int, threads: int) -> dict[str, float]:
    """Medians of one head at one size, said in milliseconds."""
    network = build_network(HEADS[name], seed=0)
    nn.init.normal_(network.last.weight, std=0.02)
    chance = torch.Generator().manual_seed(1)
    first = torch.rand(1, 3, size_px, size_px, generator=chance) * 2 - 1
    last = first.to(memory_format=torch.channels_last)
    reference, fast = plain(network), channels_last(network, torch.float32)
    half = channels_last(network, torch.bfloat16)
    wanted = forward(reference, first)
    for told, other, most in (("float32", fast, 1e-4), ("bfloat16", half, 0.5)):
        difference = float((forward(other, last) - wanted).abs().max())
        assert difference < most, f"{name}, {told}: differs by {difference}"
        print(f"{name}, {size_px} px, {told}: outputs in -1..1 differ by {difference:.1e} at most")
    work: dict[str, Callable[[], object]] = {
        "plain": partial(forward, reference, first),
        "float32": partial(forward, fast, last),
        "bfloat16": partial(forward, half, last),
    }
    if size_px < TARGET_PX:
        work["plain, with backward"] = partial(forward_and_backward, reference, first)
        work["float32, with backward"] = partial(forward_and_backward, fast, last)
        work["autocast, with backward"] = partial(autocast, fast, last)
    seconds = medians(work, runs)
    for what, value in seconds.items():
        print(f"{name}, {size_px} px, {threads} threads, {what}: {1e3 * value:,.0f} ms")
    return seconds


def main() -> int:
    """Time every head at both sizes; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--heads", nargs="+", choices=HEADS, default=list(HEADS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, TARGET_PX])
    arguments = parser.parse_args()
    say_machine()
    threads = torch.get_num_threads()
    reached = True
    for name in arguments.heads:
        for size_px in arguments.sizes:
            seconds = measure(name, size_px, arguments.runs, threads)
            if size_px == TARGET_PX and name != "unet":
                ratio = seconds["plain"] / seconds["bfloat16"]
                reached &= judge(f"{name}, plain / bfloat16 at {size_px} px", ratio, TARGET)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
