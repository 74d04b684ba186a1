"""Pictures as latents and prompts as text states, by the frozen parts of Stable Diffusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.heads.enhancer import to_levels, to_unit
from models.stable_diffusion.noise import seeded_noise
from models.stable_diffusion.parts import Parts


@dataclass(frozen=True, slots=True)
class EncodedPrompts:
    """Text states (N, 77, D) and which prompts were longer than what is read."""

    states: Tensor
    cut: tuple[bool, ...]

    @property
    def num_cut(self) -> int:
        """Prompts whose end is not read."""
        return sum(self.cut)


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
def decode_latents(parts: Parts, latents: Tensor) -> Tensor:
    """Levels 0..255 (N, 3, H, W), uint8, of scaled latents."""
    plain = latents.to(parts.vae.device, parts.vae.dtype) / parts.vae.config.scaling_factor
    return to_levels(parts.vae.decode(plain).sample)


def count_cut(parts: Parts, prompts: Sequence[str]) -> tuple[bool, ...]:
    """Which prompts have more tokens than the text encoder reads, its two marks included."""
    ids = parts.tokenizer(list(prompts), truncation=False).input_ids
    return tuple(len(one) > parts.text_length for one in ids)


def encode_prompts(parts: Parts, prompts: Sequence[str]) -> EncodedPrompts:
    """The text states of prompts, and which of them were cut."""
    return EncodedPrompts(text_states(parts, prompts), count_cut(parts, prompts))


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
