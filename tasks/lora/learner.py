"""A step of LoRA training: noise is added to latents, and the UNet learns to say which.

Knows one process's pictures. It does not know where they come from, when it is saved, or what the
epoch is; whatever it draws from, its caller gives it as a seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW

from models.adapters.lora import add_lora, lora_parameters, lora_tensors, set_lora
from models.stable_diffusion.encoding import encode_pictures, text_states
from models.stable_diffusion.noise import seeded_noise
from models.stable_diffusion.parts import Parts
from schemas.lora import LoraConfig, LoraOptimiserSettings
from schemas.seeds import stable_hash
from tasks.lora.sampling import PhotoSlot
from tasks.training.ranks import Ranks

Losses = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures of one pass through the networks: levels, or latents as their mean and spread."""

    slots: Sequence[PhotoSlot]
    texts: Sequence[str]
    levels: Tensor | None = None
    """(N, 3, H, W), uint8"""
    encoded: Tensor | None = None
    """(N, 2, 4, h, w): scaled mean and spread of the latents"""

    def __len__(self) -> int:
        return len(self.slots)


class LoraLearner:
    """A UNet's LoRA and its optimiser."""

    def __init__(
        self, config: LoraConfig, parts: Parts, ranks: Ranks, device: torch.device
    ) -> None:
        self._config, self._ranks, self._device = config, ranks, device
        self.parts = parts
        add_lora(parts.unet, config.adapter, stable_hash(config.seed, "lora"))
        if config.numerics.checkpointing:
            parts.unet.enable_gradient_checkpointing()
        self.parameters = list(lora_parameters(parts.unet).values())
        # Scaled losses keep small gradients of float16 from becoming 0.
        half = config.numerics.precision == "float16"
        self.scaler = torch.amp.GradScaler(device.type, enabled=half)
        self.optimiser = self._new_optimiser()

    def step(self, pieces: Sequence[Shown], seed: int) -> Losses:
        """One step on some passes' pictures; the seed is of the dropout of this process."""
        self.parts.unet.train()
        found: list[Tensor] = []
        for number, piece in enumerate(pieces):
            torch.manual_seed(stable_hash(seed, number))
            loss = self.losses(piece).mean()
            torch.autograd.backward(self.scaler.scale(loss / len(pieces)))
            found.append(loss.detach())
        return {"loss": torch.stack(found).mean(), **self._apply()}

    def losses(self, shown: Shown) -> Tensor:
        """The mean squared difference of each picture's noise and what the UNet says, (N,)."""
        parts, schedule = self.parts, self.parts.schedule
        latents = self._latents(shown)
        noise = self._noise([slot.noise_seed for slot in shown.slots], latents)
        steps = torch.tensor([slot.timestep for slot in shown.slots], device=self._device)
        states = self._texts(shown)
        noisy = schedule.add_noise(latents, noise, steps)
        with self.autocast():
            told = parts.predict(noisy.to(parts.unet.dtype), steps, states)
        # In float32, as squares of halves would lose most of their digits.
        wanted = schedule.wanted(latents, noise, steps)
        return functional.mse_loss(told.float(), wanted, reduction="none").mean((1, 2, 3))

    @torch.no_grad()
    def held_out_losses(self, shown: Iterable[Shown]) -> list[Tensor]:
        """The losses of pictures that nothing is learned from, without dropout."""
        self.parts.unet.eval()
        return [self.losses(one) for one in shown]

    def restart(self) -> None:
        """Forget the moments; the weights stay."""
        self.optimiser = self._new_optimiser()

    def state(self) -> dict[str, Any]:
        """What all processes share: the adapter, its moments, the scale of the loss."""
        return {
            "lora": lora_tensors(self.parts.unet),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        set_lora(self.parts.unet, state["lora"], "the saved state")
        self.optimiser.load_state_dict(state["optimiser"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])

    def _latents(self, shown: Shown) -> Tensor:
        seeds = [slot.latent_seed for slot in shown.slots]
        drawn = self._config.data.latents == "drawn"
        if shown.encoded is None:
            assert shown.levels is not None
            return encode_pictures(self.parts, shown.levels, seeds if drawn else None)
        mean, spread = shown.encoded.to(self._device).float().unbind(1)
        return mean + spread * self._noise(seeds, mean) if drawn else mean

    def _noise(self, seeds: Sequence[int], like: Tensor) -> Tensor:
        return seeded_noise(seeds, like.shape[1:], self._device)

    def _texts(self, shown: Shown) -> Tensor:
        texts = [
            "" if slot.without_text else text
            for slot, text in zip(shown.slots, shown.texts, strict=True)
        ]
        return text_states(self.parts, texts).to(self.parts.unet.dtype)

    def _apply(self) -> Losses:
        """One step of the optimiser on gradients of all processes."""
        self._ranks.average(self.parts.unet)
        # Every process sees the same gradients, and so leaves the same steps out.
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.get_total_norm(
            [one.grad for one in self.parameters if one.grad is not None]
        )
        longest = self._config.optimiser.clip_norm
        if longest is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, longest, norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        if not self.scaler.is_enabled():
            return {"gradient lora": norm}
        # A scale that was too large: nothing was learned from this step, and the next has half.
        applied = torch.isfinite(norm)
        nothing = torch.zeros_like(norm)
        return {"gradient lora": torch.where(applied, norm, nothing), "skipped": (~applied).float()}

    def autocast(self) -> torch.autocast:
        """The number format of the UNet's inner work."""
        precision = self._config.numerics.precision
        return torch.autocast(
            self._device.type, dtype=dtype_of(precision), enabled=precision != "float32"
        )

    def _new_optimiser(self) -> AdamW:
        settings = self._config.optimiser
        return AdamW(
            self.parameters,
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            weight_decay=settings.weight_decay,
            fused=True,
        )


def dtype_of(precision: str) -> torch.dtype:
    """The number format of frozen layers."""
    found: torch.dtype = getattr(torch, precision)
    return found


def check_precision(precision: str, device: torch.device) -> None:
    """Raise a ValueError where a device does not train in a number format."""
    if precision == "float16" and device.type == "cpu":
        raise ValueError(
            'lora.numerics.precision = "float16": no GPU is seen, and a processor has no fast '
            'float16; say "float32" or "bfloat16"'
        )


def check_warmup(settings: LoraOptimiserSettings, steps: int) -> None:
    """Raise a ValueError where a schedule would be over before its warmup."""
    if settings.warmup_steps >= steps:
        of = "a phase" if settings.restart else "the run"
        raise ValueError(
            f"lora.optimiser.warmup_steps = {settings.warmup_steps}: {of} has {steps} steps; "
            "choose fewer"
        )
