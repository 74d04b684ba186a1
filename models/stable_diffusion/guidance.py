"""The guidance loss of paper 3: Eq. 6, what both networks think the clean latents are, and Eq. 7.

Pure in what it is given: noise, steps and masks are drawn elsewhere. Trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.features.dino import DinoFeatures
from models.stable_diffusion.noise import NoiseSchedule
from schemas.guide import DinoDistance, L2Distance

# Noisy latents (N, 4, h, w), their steps (N,) and texts (N, 77, D) to what the UNet says of them.
Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
# Masked latents of the good and of the bad, and the mask (N, 1, h, w), to a distance each, (N,).
Distance = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class NoisyPair:
    """Clean latents of both pictures of each pair, and what is done to them alike."""

    good: Tensor
    bad: Tensor
    mask: Tensor
    """(N, 1, h, w) in 0..1"""
    noise: Tensor
    timesteps: Tensor
    """(N,), as the networks count them, from 0"""
    texts: Tensor


def guidance_losses(
    schedule: NoiseSchedule,
    teacher: Predict,
    student: Predict,
    pair: NoisyPair,
    distance: Distance,
) -> Tensor:
    """L_guidance of each pair, (N,): Eq. 7, with a gradient for the student alone."""
    with torch.no_grad():
        good = one_step_denoised(schedule, teacher, pair.good, pair)
    bad = one_step_denoised(schedule, student, pair.bad, pair)
    return distance(pair.mask * good, pair.mask * bad, pair.mask)


def one_step_denoised(
    schedule: NoiseSchedule, predict: Predict, clean: Tensor, pair: NoisyPair
) -> Tensor:
    """Eq. 6, in float32: what a network thinks latents were before this pair's noise."""
    noisy = schedule.add_noise(clean, pair.noise, pair.timesteps)
    told = predict(noisy, pair.timesteps, pair.texts)
    # At large t a small signal is divided by: half precision would not do.
    return schedule.without_noise(noisy.float(), told.float(), pair.timesteps)


def latent_mask(mask: Tensor, size: tuple[int, int], how: Literal["nearest", "area"]) -> Tensor:
    """A mask (N, 1, H, W) of 0 and 1 at the latents' size.

    nearest takes the upper left pixel of each place, as diffusers' inpainting does; area its mean.
    """
    return functional.interpolate(mask.float(), size, mode=how)


class LatentDistance:
    """The squared difference of latents, a mean over the latent or over the mask."""

    def __init__(self, settings: L2Distance) -> None:
        self._over = settings.over

    def __call__(self, good: Tensor, bad: Tensor, mask: Tensor) -> Tensor:
        """One number for each pair, (N,)."""
        squared = functional.mse_loss(bad, good, reduction="none")
        if self._over == "latent":
            return squared.mean((1, 2, 3))
        # Of all channels of the places that are masked.
        places = mask.sum((1, 2, 3)) * squared.shape[1]
        return squared.sum((1, 2, 3)) / places.clamp_min(1.0)


class FeatureDistance:
    """How far DINO's features of the decoded latents are apart."""

    def __init__(self, settings: DinoDistance, vae: Any, dino: DinoFeatures) -> None:
        self._settings, self._vae, self._dino = settings, vae, dino

    def __call__(self, good: Tensor, bad: Tensor, mask: Tensor) -> Tensor:
        """One number for each pair, (N,)."""
        with torch.no_grad():
            wanted = self._features(good)
        found = self._features(bad)
        if self._settings.measure == "cosine":
            return (1 - functional.cosine_similarity(found, wanted, dim=-1)).mean(1)
        return functional.mse_loss(found, wanted, reduction="none").mean((1, 2))

    def _features(self, latents: Tensor) -> Tensor:
        """(N, tokens, D) of masked latents; what is masked out is decoded as it is, 0."""
        plain = latents.to(self._vae.dtype) / self._vae.config.scaling_factor
        # Not clipped: a gradient would end where the decoder goes too far.
        unit = self._vae.decode(plain).sample.float() / 2 + 0.5
        tokens = self._dino.tokens(unit).float()
        return tokens[:, :1] if self._settings.tokens == "class" else tokens


def guided_parameters(
    unet: nn.Module, trained: Literal["attn1", "all"]
) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters that are trained, by name: self-attention's (attn1), or all."""
    for name, parameter in unet.named_parameters():
        if trained == "all" or "attn1" in name.split("."):
            yield name, parameter
