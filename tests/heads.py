"""Small heads with weights that change every picture, for tests that put pictures through one."""

from __future__ import annotations

from pathlib import Path

import torch

from models.heads.build import build_network
from models.heads.head import Head
from models.heads.training_ids import TrainingIds
from schemas.head import NetworkSettings, PictureMaker, ResnetSettings, TrainingFacts

SMALL = ResnetSettings(width=4, num_blocks=1, residual_output=True)
FLUX = PictureMaker(model="FLUX.1-schnell", revision="main")


def small_head(
    folder: Path | None = None,
    settings: NetworkSettings = SMALL,
    *,
    seed: int = 0,
    trained_on: list[str] | None = None,
    maker: PictureMaker = FLUX,
    profile: str = "exact",
) -> Head:
    """A head, saved to the folder if there is one."""
    network = build_network(settings, seed)
    chance = torch.Generator().manual_seed(seed)
    torch.nn.init.normal_(network.last.weight, std=0.05, generator=chance)
    head = Head(network, settings)
    if trained_on is not None:
        ids = TrainingIds.of(trained_on)
        facts = TrainingFacts(
            dataset="elsewhere",
            method="cyclegan",
            profile=profile,
            source=maker,
            target=maker,
            num_ids=len(ids),
            ids_sha256=ids.sha256,
            size_px=64,
            images_seen=10,
            config_sha256="0" * 64,
        )
        head = Head(network, settings, facts, ids)
    if folder is not None:
        head.save(folder)
    return head
