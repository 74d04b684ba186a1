"""A learner's step beside a plain loop: the same mathematics, to the last digits of float64.

In float32 two equal programs drift apart: Adam divides each gradient by its own size at first, so
that rounding alone decides the sign of the smallest ones.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.plain_cyclegan import PlainCycleGan
from models.heads.build import build_network
from schemas.train import train_config
from tasks.heads.learners import CycleLearner
from tasks.heads.moving_average import MovingAverage
from tasks.training.ranks import Ranks
from tests.tasks.heads.averaged_gradients import OBJECTIVES, learner, weights_after

PRESET = Path(__file__).parents[3] / "configs/cyclegan.toml"


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


def test_several_processes_take_the_step_of_one_with_all_of_their_pictures(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.tasks.heads.averaged_gradients", str(tmp_path)],
        cwd=PRESET.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == set(OBJECTIVES)
    for kind, (step, off) in told.items():
        assert step > 1e-5, kind
        assert off < 1e-12, kind


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads share a sum by its length, and last digits decide at a bend such as that of ReLU."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_batch_in_parts_takes_the_step_of_the_whole_batch(kind: str) -> None:
    (before, whole), (_, in_parts) = (weights_after(kind, Ranks(), parts) for parts in (1, 4))
    assert float((whole - before).abs().max()) > 1e-5
    assert float((whole - in_parts).abs().max()) < 1e-12


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", OBJECTIVES)
def test_a_batch_in_parts_tells_the_losses_of_the_whole_batch(kind: str) -> None:
    pictures = torch.rand(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1)).double()
    whole, in_parts = (learner(kind, Ranks()).step(*pictures, parts) for parts in (1, 4))
    assert whole.keys() == in_parts.keys()
    for name, loss in whole.items():
        assert float(loss) == pytest.approx(float(in_parts[name]), rel=1e-9), name


def test_a_loss_is_asked_for_when_the_one_before_has_gone_back() -> None:
    """Else memory would hold what all of them need to go back."""
    made = learner("cyclegan", Ranks())
    weight = next(made.networks["to_target"].parameters())
    phases, found = made._phases, []

    def watched(pieces: list) -> Iterator:
        for name, losses in phases(pieces):
            yield name, (found.append((name, weight.grad is None)) or one for one in losses)

    made._phases = watched  # type: ignore[method-assign]
    made.step(*torch.rand(2, 2, 3, 32, 32).double(), 1)
    assert found == [
        ("generators", True),
        ("generators", False),
        ("judges", True),
        ("judges", True),
    ]


def test_after_its_half_life_an_average_is_half_way() -> None:
    network = build_network(train_config(PRESET, {"network": {"width": 4}}).network, 0)
    average = MovingAverage(network, half_life_images=20)
    with torch.no_grad():
        for one in average.head.parameters():
            one.zero_()
        for one in network.parameters():
            one.fill_(1.0)
    for wanted in (0.5, 0.75):
        for images in (4, 16):
            average.follow(images)
        for one in average.head.parameters():
            assert torch.allclose(one, torch.full_like(one, wanted), atol=1e-6)
