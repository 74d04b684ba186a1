"""A learner's step beside a plain loop: the same mathematics, to the last digits of float64.

In float32 two equal programs drift apart: Adam divides each gradient by its own size at first, so
that rounding alone decides the sign of the smallest ones.
"""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from benchmarks.plain_cyclegan import PlainCycleGan
from schemas.train import train_config
from tasks.learners import CycleLearner
from tasks.ranks import Ranks

PRESET = Path(__file__).parents[2] / "configs/cyclegan.toml"


@pytest.mark.parametrize("identity", [0.0, 5.0])
def test_ten_steps_are_those_of_a_plain_loop(identity: float) -> None:
    sections = {
        "network": {"width": 8, "num_blocks": 2, "attention": "esa"},
        "objective": {
            "lambda_cycle": 10.0,
            "lambda_identity": identity,
            "pool": 0,
            "discriminator": {"width": 8},
        },
        "optimiser": {"learning_rate": 2e-4},
        "numerics": {"precision": "float32"},
    }
    learner = CycleLearner(train_config(PRESET, sections), Ranks(), torch.device("cpu"))
    for network in learner.networks.values():
        network.double()
    peer = PlainCycleGan(
        copy.deepcopy(learner.networks),
        learning_rate=2e-4,
        lambda_cycle=10.0,
        lambda_identity=identity,
    )
    chance = torch.Generator().manual_seed(1)
    for _ in range(10):
        pictures = torch.rand(2, 1, 3, 64, 64, generator=chance, dtype=torch.float64) * 2 - 1
        wanted = peer.step(*pictures)
        found = learner.step(*pictures, 1)
        for name, loss in wanted.items():
            assert abs(float(found[name]) - loss) < 1e-9, name
