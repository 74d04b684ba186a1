"""One step of several processes beside one step of one with all of their pictures.

A program of its own, for test_learners.py: its processes have to find it by its name. With plain
gradient descent, since Adam would hide a sum that is taken for a mean. Prints a JSON object: by
objective, the largest weight's step, and how far the two differ.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from schemas.settings import resolve
from schemas.train import TrainConfig
from tasks.heads.learners import build_learner
from tasks.training.learner import Learner
from tasks.training.ranks import Ranks, join, part

UNET = {"kind": "unet", "width": 4, "levels": 2}
JUDGE = {"width": 4, "num_layers": 1}
OBJECTIVES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cyclegan": (
        {"kind": "resnet", "width": 4, "num_blocks": 1},
        {"kind": "cyclegan", "pool": 0, "discriminator": JUDGE},
    ),
    "paired": (UNET, {"kind": "paired"}),
    "pix2pix": (UNET, {"kind": "pix2pix", "discriminator": {**JUDGE, "conditional": True}}),
}
COUNT = 2


def apart(output: Tensor, target: Tensor) -> Tensor:
    """Something perceptual that needs no weights."""
    return (output - target).square().mean((1, 2, 3))


def learner(kind: str, ranks: Ranks) -> Learner:
    """A learner in float64 that takes plain steps."""
    network, objective = OBJECTIVES[kind]
    tables = {"network": network, "objective": objective, "phase": [{"epochs": 1}]}
    made = build_learner(
        resolve(TrainConfig, tables, "test"), ranks, torch.device("cpu"), perceptual=apart
    )
    for name, optimiser in made.optimisers.items():
        weights = [one for group in optimiser.param_groups for one in group["params"]]
        made.optimisers[name] = torch.optim.SGD(weights, lr=0.01)  # type: ignore[assignment]
    for one in made.networks.values():
        one.double()
    return made


def weights_after(kind: str, ranks: Ranks, parts: int = 1) -> tuple[Tensor, Tensor]:
    """All weights before and after one step on a process's share of the same pictures."""
    ours = learner(kind, ranks)
    chance = torch.Generator().manual_seed(1)
    pictures = torch.rand(2, 4, 3, 32, 32, generator=chance, dtype=torch.float64) * 2 - 1
    share = ranks.share(4 // ranks.count)
    before = _flat(ours)
    ours.step(pictures[0][share], pictures[1][share], parts)
    return before, _flat(ours)


def _flat(learner: Learner) -> Tensor:
    networks = learner.networks.values()
    return torch.cat([one.detach().flatten() for net in networks for one in net.parameters()])


def _process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    ranks = Ranks(rank, COUNT, rank)
    join(ranks, "cpu", torch._C._distributed_c10d.FileStore(f"{folder}/store", COUNT))
    for kind in OBJECTIVES:
        torch.save(weights_after(kind, ranks)[1], f"{folder}/{kind}-{rank}.pt")
    distributed.barrier()
    part(ranks)


def main(folder: str) -> None:
    """Compare."""
    torch.set_num_threads(1)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_process, args=(rank, folder)) for rank in range(COUNT)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    told = {}
    for kind in OBJECTIVES:
        before, wanted = weights_after(kind, Ranks())
        found = [torch.load(Path(folder) / f"{kind}-{rank}.pt") for rank in range(COUNT)]
        off = max(float((one - wanted).abs().max()) for one in found)
        told[kind] = [float((wanted - before).abs().max()), off]
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
