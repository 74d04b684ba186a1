"""The moving average of a head's weights, which is smoother than its last ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from models.heads.blocks import HeadNetwork


class MovingAverage:
    """A copy of a network that follows it; without a half-life it is the network as it is."""

    def __init__(self, network: HeadNetwork, half_life_images: float | None) -> None:
        self._network, self._half_life = network, half_life_images
        self.head = network
        if half_life_images is not None:
            self.head = copy.deepcopy(network).requires_grad_(False)

    @torch.no_grad()
    def follow(self, images: int) -> None:
        """Take the network's weights in, after a step on so many pictures."""
        if self._half_life is None:
            return
        share = 1 - 0.5 ** (images / self._half_life)
        # A network of convolutions and norms without counts: all of its state is parameters.
        for average, weight in zip(self.head.parameters(), self._network.parameters(), strict=True):
            average.lerp_(weight, share)

    def state(self) -> Mapping[str, Any]:
        """The average's weights; nothing where it is the network itself."""
        return {} if self.head is self._network else self.head.state_dict()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from such a state."""
        if self.head is not self._network:
            self.head.load_state_dict(state)
