"""Networks that learn together: their optimisers, a step in parts, their state.

A learner knows one process's pictures. It does not know where they come from, when it is saved, or
what the epoch is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from models.heads.blocks import HeadNetwork
from models.heads.image_pool import ImagePool
from schemas.seeds import stable_hash
from schemas.train import NumericsSettings, TrainConfig
from tasks.training.course import Losses
from tasks.training.ranks import Ranks


class Learner(ABC):
    """Networks that learn together, and their optimisers."""

    def __init__(self, config: TrainConfig, ranks: Ranks, device: torch.device) -> None:
        self._config, self._ranks, self._device = config, ranks, device
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, Adam] = {}
        self.pools: dict[str, ImagePool] = {}
        self._run: dict[str, Callable[..., Tensor]] = {}
        self._trained: dict[str, list[nn.Module]] = {}

    @property
    def head(self) -> HeadNetwork:
        """The network from sources to targets."""
        head = self.networks["to_target"]
        assert isinstance(head, HeadNetwork)
        return head

    def step(self, sources: Tensor, targets: Tensor, parts: int) -> Losses:
        """One step on pictures (N, 3, H, W) in -1..1, worked out in parts; the losses' means."""
        found: dict[str, list[Tensor]] = {}
        norms: Losses = {}
        pieces = list(zip(sources.chunk(parts), targets.chunk(parts), strict=True))
        for name, losses in self._phases(pieces):
            for loss in losses:
                # Each piece's share of the mean over the batch.
                torch.autograd.backward(loss.pop("objective") / parts)
                for key, value in loss.items():
                    found.setdefault(key, []).append(value.detach())
            norms[f"gradient {name}"] = self._apply(name)
        return {key: torch.stack(values).sum() / parts for key, values in found.items()} | norms

    @abstractmethod
    def _phases(
        self, pieces: list[tuple[Tensor, Tensor]]
    ) -> Iterator[tuple[str, Iterable[Losses]]]:
        """The phases of a step: which optimiser, and the losses of each piece as they are needed.

        The loss named `objective` is what is minimised. A piece may give several, which are summed:
        each goes back, and its memory is free, before the next is asked for.
        """

    def _add(self, optimiser: str, **networks: nn.Module) -> None:
        """Have networks trained by one optimiser, all processes from the same weights."""
        numerics = self._config.numerics
        for name, network in networks.items():
            network.to(self._device)
            if numerics.channels_last:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._ranks.share_weights(network)
            self.networks[name] = network
            self._run[name] = torch.compile(network) if numerics.compile else network
        settings = self._config.optimiser
        self.optimisers[optimiser] = Adam(
            [one for network in networks.values() for one in network.parameters()],
            lr=settings.learning_rate,
            betas=(settings.beta1, settings.beta2),
            fused=True,
        )
        self._trained[optimiser] = list(networks.values())

    def _apply(self, optimiser: str) -> Tensor:
        """One step of an optimiser on gradients of all processes; the norm of the gradient."""
        networks = self._trained[optimiser]
        for network in networks:
            self._ranks.average(network)
        gradients = [
            one.grad for network in networks for one in network.parameters() if one.grad is not None
        ]
        norm = nn.utils.get_total_norm(gradients)
        self.optimisers[optimiser].step()
        self.optimisers[optimiser].zero_grad(set_to_none=True)
        return norm

    def _seed(self, *parts: str | int) -> int:
        return stable_hash(self._config.seed, *parts)

    def state(self) -> dict[str, Any]:
        """What all processes share: weights and optimisers."""
        return {
            "networks": {name: one.state_dict() for name, one in self.networks.items()},
            "optimisers": {name: one.state_dict() for name, one in self.optimisers.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])


def autocast(numerics: NumericsSettings, device: torch.device) -> torch.autocast:
    """The number format of the inner work."""
    enabled = numerics.precision == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Within it, networks give gradients to their input and gather none themselves."""
    for network in networks:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(True)
