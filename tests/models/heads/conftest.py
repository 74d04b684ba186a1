"""Weights in the layout that the reference CycleGAN publishes, random and with every bias set."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Published = dict[str, Tensor]


@pytest.fixture
def published_generator() -> Callable[..., Published]:
    """latest_net_G.pth as a table: numbered layers, two convolutions in each block."""

    def make(
        width: int = 8,
        num_blocks: int = 2,
        *,
        second: int = 5,
        prefix: str = "",
        statistics: bool = False,
        seed: int = 0,
    ) -> Published:
        chance = torch.Generator().manual_seed(seed)
        up = 10 + num_blocks
        layers = {
            "1": (width, 3, 7, 7),
            "4": (2 * width, width, 3, 3),
            "7": (4 * width, 2 * width, 3, 3),
            **{
                f"{10 + block}.conv_block.{place}": (4 * width, 4 * width, 3, 3)
                for block in range(num_blocks)
                for place in (1, second)
            },
            f"{up}": (4 * width, 2 * width, 3, 3),
            f"{up + 3}": (2 * width, width, 3, 3),
            f"{up + 7}": (3, width, 7, 7),
        }
        made: Published = {}
        for name, shape in layers.items():
            out = shape[1] if name in (f"{up}", f"{up + 3}") else shape[0]
            made[f"{prefix}model.{name}.weight"] = 0.02 * torch.randn(shape, generator=chance)
            made[f"{prefix}model.{name}.bias"] = 0.1 * torch.randn(out, generator=chance)
        if statistics:
            made[f"{prefix}model.2.running_mean"] = torch.ones(width)
            made[f"{prefix}model.2.running_var"] = 9 * torch.ones(width)
            made[f"{prefix}model.2.num_batches_tracked"] = torch.tensor(5)
        return made

    return make


@pytest.fixture
def published_discriminator() -> Callable[..., Published]:
    """latest_net_D.pth as a table."""

    def make(width: int = 8, channels: int = 3) -> Published:
        chance = torch.Generator().manual_seed(1)
        widths = [channels, width, 2 * width, 4 * width, 8 * width, 1]
        made: Published = {}
        for number, (few, out) in zip((0, 2, 5, 8, 11), zip(widths, widths[1:])):  # noqa: B905, RUF007
            made[f"model.{number}.weight"] = 0.02 * torch.randn(out, few, 4, 4, generator=chance)
            made[f"model.{number}.bias"] = 0.1 * torch.randn(out, generator=chance)
        return made

    return make
