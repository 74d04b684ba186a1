"""How much noise a step of diffusion stands for, and the noise of a seed.

DDPM (Ho et al. 2020), Eq. 4: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) e, with a_t the product of all
1 - beta up to t. Draws nothing that a seed does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

Predicts = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """The share of signal that is left at each step, (T,), and what a network is to say of it."""

    alphas_cumprod: Tensor
    predicts: Predicts

    @property
    def num_steps(self) -> int:
        """T: 1000."""
        return len(self.alphas_cumprod)

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """Latents (N, ...) at their steps (N,)."""
        signal, spread = self._weights(latents, timesteps)
        return signal * latents + spread * noise

    def wanted(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """What a network is to say of those noisy latents: the noise, or the velocity."""
        if self.predicts == "epsilon":
            return noise
        signal, spread = self._weights(latents, timesteps)
        return signal * noise - spread * latents

    def without_noise(self, noisy: Tensor, told: Tensor, timesteps: Tensor) -> Tensor:
        """The latents that noisy ones come from if a network is right in what it told."""
        signal, spread = self._weights(noisy, timesteps)
        if self.predicts == "epsilon":
            return (noisy - spread * told) / signal
        return signal * noisy - spread * told

    def _weights(self, latents: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        # Roots in float32: half of them would be lost in half precision.
        left = self.alphas_cumprod[timesteps.to(self.alphas_cumprod.device)]
        left = left.to(latents.device).view(-1, *[1] * (latents.dim() - 1))
        return left.sqrt().to(latents.dtype), (1 - left).sqrt().to(latents.dtype)


def load_noise_schedule(folder: Path, device: torch.device) -> NoiseSchedule:
    """The schedule that a scheduler's config describes, whichever sampler it names."""
    from diffusers import DDPMScheduler

    # The samplers of one model share its betas; this one reads them all.
    described = DDPMScheduler.from_pretrained(folder, local_files_only=True)
    predicts = described.config.prediction_type
    if predicts not in ("epsilon", "v_prediction"):
        raise ValueError(
            f"{folder}/scheduler_config.json: prediction_type = {predicts!r}: nobody trains on it "
            'here; use a model of "epsilon" or "v_prediction"'
        )
    return NoiseSchedule(described.alphas_cumprod.to(device, torch.float32), predicts)


def seeded_noise(seeds: Sequence[int], shape: Sequence[int], device: torch.device | str) -> Tensor:
    """Normal noise (N, *shape), a row per seed, the same on every device and in any company."""
    rows = [torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.stack(rows).to(device)
