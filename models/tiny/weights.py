"""Random weights that are the same on every call, and disturb nobody else's randomness."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from this seed inside, and go on outside as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def vae(seed: int, latent_channels: int, **settings: Any) -> Any:
    """An autoencoder that shrinks pictures eight times, as the real ones do."""
    from diffusers import AutoencoderKL

    with seeded(seed):
        return AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8, 8, 8, 8),
            layers_per_block=1,
            norm_num_groups=4,
            latent_channels=latent_channels,
            sample_size=64,
            **settings,
        ).eval()
