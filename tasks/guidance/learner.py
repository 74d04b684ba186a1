"""A guidance step: the student learns to see in a bad face what the teacher sees in a good one.

Knows one process's pairs. It does not know where they come from, when it is saved, or what the
epoch is; whatever it draws from is in the slots of its pairs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from models.features.dino import load_dino
from models.stable_diffusion.encoding import encode_pictures, text_states
from models.stable_diffusion.guidance import (
    Distance,
    FeatureDistance,
    LatentDistance,
    NoisyPair,
    guidance_losses,
    guided_parameters,
    latent_mask,
)
from models.stable_diffusion.noise import seeded_noise
from models.stable_diffusion.parts import Parts
from schemas.guide import GuideConfig, L2Distance
from tasks.guidance.pairs import GuideBatch
from tasks.training.ranks import Ranks

Losses = dict[str, Tensor]


class GuideLearner:
    """The student's UNet beside its frozen teacher, and its optimiser."""

    def __init__(
        self, config: GuideConfig, parts: Parts, ranks: Ranks, device: torch.device
    ) -> None:
        """`parts` come with the UNet in float32; it becomes the student."""
        self._config, self.parts, self._ranks, self._device = config, parts, ranks, device
        self.student: nn.Module = parts.unet
        self._dtype: torch.dtype = getattr(torch, config.numerics.precision)
        self.trained = dict(guided_parameters(self.student, config.trained))
        self.teacher = self._split_off_teacher()
        for one in self.trained.values():
            one.requires_grad_(True)
        self._distance = self._build_distance()
        if config.numerics.checkpointing:
            parts.unet.enable_gradient_checkpointing()
            if not isinstance(config.distance, L2Distance):
                parts.vae.enable_gradient_checkpointing()
        self.optimiser = self._new_optimiser()

    def step(self, pieces: Sequence[GuideBatch]) -> Losses:
        """One step on some passes' pairs."""
        found: list[Tensor] = []
        for piece in pieces:
            loss = self.losses(piece).mean()
            torch.autograd.backward(loss / len(pieces))
            found.append(loss.detach())
        self._ranks.average(self.student)
        norm = self._clip()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return {"loss": torch.stack(found).mean(), "gradient unet": norm}

    def losses(self, shown: GuideBatch) -> Tensor:
        """The guidance loss of each pair, (N,)."""
        pair = self.noisy_pair(shown)
        with self._autocast():
            return guidance_losses(
                self.parts.schedule,
                self._predict(self.teacher),
                self._predict(self.student),
                pair,
                self._distance,
            )

    @torch.no_grad()
    def held_out_losses(self, shown: Iterable[GuideBatch]) -> list[Tensor]:
        """The losses of pairs that nothing is learned from."""
        return [self.losses(one) for one in shown]

    @torch.no_grad()
    def noisy_pair(self, shown: GuideBatch) -> NoisyPair:
        """What both networks are shown: latents, one noise for both, the mask at their size."""
        drawn = self._config.data.latents == "drawn"
        # One seed for both, so that only what differs in the pictures differs in the latents.
        seeds = [slot.latent_seed for slot in shown.slots] if drawn else None
        good, bad = (encode_pictures(self.parts, one, seeds) for one in (shown.good, shown.bad))
        texts = [
            "" if slot.without_text else text
            for slot, text in zip(shown.slots, shown.texts, strict=True)
        ]
        noise_seeds = [slot.noise_seed for slot in shown.slots]
        return NoisyPair(
            good=good,
            bad=bad,
            mask=latent_mask(
                shown.mask.to(self._device),
                (good.shape[2], good.shape[3]),
                self._config.data.mask,
            ),
            noise=seeded_noise(noise_seeds, good.shape[1:], self._device),
            # A slot counts from 0, as networks do; the paper's t from 1 to T_end.
            timesteps=torch.tensor([slot.timestep for slot in shown.slots], device=self._device),
            texts=text_states(self.parts, texts).to(self._dtype),
        )

    def state(self) -> dict[str, Any]:
        """What all processes share: the layers that are trained, and their moments."""
        trained = {name: one.detach() for name, one in self.trained.items()}
        return {"trained": trained, "optimiser": self.optimiser.state_dict()}

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        for name, one in self.trained.items():
            one.copy_(state["trained"][name])
        self.optimiser.load_state_dict(state["optimiser"])

    def _split_off_teacher(self) -> nn.Module:
        """A frozen copy with layers of its own where the student's will change.

        What stays as it is they share, in the format that is worked in; what is trained stays
        float32 in the student.
        """
        frozen = [p for name, p in self.student.named_parameters() if name not in self.trained]
        for one in frozen:
            one.data = one.data.to(self._dtype)
        teacher: nn.Module = copy.deepcopy(self.student, {id(one): one for one in frozen})
        return teacher.to(self._dtype).eval().requires_grad_(False)

    def _build_distance(self) -> Distance:
        settings = self._config.distance
        if isinstance(settings, L2Distance):
            return LatentDistance(settings)
        dino = load_dino(settings.model, settings.revision, str(self._device))
        return FeatureDistance(settings, self.parts.vae, dino)

    def _predict(self, unet: Any) -> Any:
        def predict(noisy: Tensor, timesteps: Tensor, texts: Tensor) -> Tensor:
            told: Tensor = unet(
                noisy.to(self._dtype), timesteps, encoder_hidden_states=texts
            ).sample
            return told

        return predict

    def _clip(self) -> Tensor:
        parameters = list(self.trained.values())
        norm = nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
        longest = self._config.optimiser.clip_norm
        if longest is not None:
            nn.utils.clip_grads_with_norm_(parameters, longest, norm)
        return norm

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._device.type, dtype=torch.bfloat16, enabled=self._dtype is not torch.float32
        )

    def _new_optimiser(self) -> AdamW:
        settings = self._config.optimiser
        return AdamW(
            self.trained.values(),
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            weight_decay=settings.weight_decay,
            fused=True,
        )
