"""Pictures as latents and prompts as text states, by the frozen parts of Stable Diffusion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.heads.enhancer import to_unit
from models.stable_diffusion.noise import seeded_noise
from models.stable_diffusion.parts import Parts


@torch.no_grad()
def encode_pictures(parts: Parts, levels: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
    """Scaled latents (N, 4, H/8, W/8) of levels 0..255 (N, 3, H, W), in float32.

    With a seed per picture they are drawn from what the encoder says of it; without, they are its
    mode, the same for every call.
    """
    mean, spread = encode_spread(parts, levels).unbind(1)
    if seeds is None:
        return mean
    return mean + spread * seeded_noise(seeds, mean.shape[1:], mean.device)


@torch.no_grad()
def encode_spread(parts: Parts, levels: Tensor) -> Tensor:
    """Mean and spread (N, 2, 4, H/8, W/8) of the scaled latents of levels, in float32."""
    _check_levels(levels, parts)
    unit = to_unit(levels.to(parts.device)).to(parts.vae.dtype)
    told = parts.vae.encode(unit).latent_dist
    # The mean of its normal distribution is its mode.
    both: Tensor = torch.stack([told.mean.float(), told.std.float()], 1)
    return both * float(parts.vae.config.scaling_factor)


@torch.no_grad()
def text_states(parts: Parts, prompts: Sequence[str]) -> Tensor:
    """(N, 77, D) of prompts, each filled up or cut to 77 tokens; an empty one is no text."""
    tokens = parts.tokenizer(
        list(prompts),
        padding="max_length",
        max_length=parts.text_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    # As the pipelines of this family do: padding is read like any other token.
    states: Tensor = parts.text_encoder(tokens.to(parts.device))[0]
    return states


def _check_levels(levels: Tensor, parts: Parts) -> None:
    if levels.dtype != torch.uint8 or levels.dim() != 4 or levels.shape[1] != 3:
        raise ValueError(
            f"levels of {levels.dtype} and shape {tuple(levels.shape)}: should be uint8 "
            "(N, 3, H, W)"
        )
    multiple = parts.latent_scale
    if any(side % multiple for side in levels.shape[2:]):
        height, width = levels.shape[2:]
        raise ValueError(
            f"pictures of {width} x {height} px: sides should be multiples of {multiple}"
        )
