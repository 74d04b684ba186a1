"""Steps of our CycleGAN, or of the plain loop with our first weights, taken when told to.

python -m benchmarks.cyclegan_steps KIND SIZE_PX THREADS [WEIGHTS]

KIND is plain, float32 or bfloat16. Each line read has one step taken, and is answered by a line of
JSON: losses, seconds, peak memory so far. reference_cyclegan.py speaks the same.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.heads_forward import plain
from benchmarks.plain_cyclegan import PlainCycleGan
from models.heads.junyanz import load_discriminator, load_generator
from schemas.train import TrainConfig, train_config
from tasks.heads.learners import CycleLearner
from tasks.training.freed_memory import keep_freed_memory
from tasks.training.ranks import Ranks

PRESET = Path(__file__).parents[1] / "configs/cyclegan.toml"
RATE, CYCLE, IDENTITY = 2e-4, 10.0, 5.0
Step = Callable[[Tensor, Tensor], dict[str, float]]


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


def learner(precision: str, weights: Path | None) -> CycleLearner:
    """Ours, from first weights of its own or from those of the reference."""
    made = CycleLearner(config(precision), Ranks(), torch.device("cpu"))
    if weights is not None:
        for name, network in made.networks.items():
            load = load_discriminator if name.startswith("judge") else load_generator
            network.load_state_dict(load(weights / f"{name}.pth").state_dict())
    return made


def step_of(kind: str, weights: Path | None) -> Step:
    """What takes a step, by what is measured."""
    ours = learner("bfloat16" if kind == "bfloat16" else "float32", weights)
    if kind != "plain":
        keep_freed_memory()  # as a training does
        return lambda source, target: {
            name: float(loss) for name, loss in ours.step(source, target, 1).items()
        }
    networks = {
        name: plain(one).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        for name, one in ours.networks.items()
    }
    peer = PlainCycleGan(networks, learning_rate=RATE, lambda_cycle=CYCLE, lambda_identity=IDENTITY)
    return peer.step


def main(words: list[str]) -> None:
    """Take steps until nothing more is read."""
    kind, size_px, threads = words[0], int(words[1]), int(words[2])
    torch.set_num_threads(threads)
    step = step_of(kind, Path(words[3]) if len(words) > 3 else None)
    chance = torch.Generator().manual_seed(1)
    for _ in sys.stdin:
        source, target = torch.rand(2, 1, 3, size_px, size_px, generator=chance) * 2 - 1
        begun = time.perf_counter()
        losses = step(source, target)
        seconds = time.perf_counter() - begun
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps({"losses": losses, "seconds": seconds, "peak_mb": peak_mb}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
