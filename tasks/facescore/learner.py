"""A scorer that learns from pairs: its optimiser, a step in parts, its state.

It does not know where pairs come from, when it is saved, or what the epoch is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from models.facescore.learning import chance_of, pair_scores, ranking_loss
from models.facescore.network import FaceScorer
from schemas.score_train import ScoreTrainConfig
from tasks.training.course import Losses
from tasks.training.learner import autocast
from tasks.training.ranks import Ranks


class ScoreLearner:
    """One process's scorer and its optimiser."""

    def __init__(
        self, network: FaceScorer, config: ScoreTrainConfig, ranks: Ranks, device: torch.device
    ) -> None:
        self.network, self._config, self._ranks, self._device = network, config, ranks, device
        network.to(device)
        if config.numerics.channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        ranks.share_weights(network)
        self.learns = network.freeze(config.frozen)
        self._run: Callable[..., Any] = (
            torch.compile(network) if config.numerics.compile else network
        )
        settings = config.optimiser
        self.optimiser = Adam(
            [one for one in network.parameters() if one.requires_grad],
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            fused=True,
        )

    def step(self, good: Tensor, bad: Tensor, seed: int, parts: int) -> Losses:
        """One step on faces (N, 3, side, side), worked out in parts; the loss and the accuracy."""
        self.network.train()
        losses, right = [], []
        with chance_of(seed, self._device):
            for one, other in zip(good.chunk(parts), bad.chunk(parts), strict=True):
                with autocast(self._config.numerics, self._device):
                    better, worse = pair_scores(self._run, one, other)  # type: ignore[arg-type]
                loss = ranking_loss(better, worse)
                torch.autograd.backward(loss / parts)
                losses.append(loss.detach())
                right.append((better > worse).float().mean().detach())
        self._ranks.average(self.network)
        gradients = [one.grad for one in self.network.parameters() if one.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return {
            "loss": torch.stack(losses).mean(),
            "accuracy": torch.stack(right).mean(),
            "gradient scorer": norm,
        }

    @torch.inference_mode()
    def scores(self, good: Tensor, bad: Tensor) -> tuple[Tensor, Tensor]:
        """Scores without dropouts, in float32."""
        self.network.eval()
        return pair_scores(self.network, good.to(self._device), bad.to(self._device))

    def state(self) -> dict[str, Any]:
        """Weights and optimiser."""
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
