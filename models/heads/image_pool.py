"""CycleGAN's pool of earlier pictures, which the discriminators see instead of the newest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class ImagePool:
    """Gives back a new picture or, half of the time once it is full, an old one in exchange.

    Its chance is its own, so that resuming it does not depend on who else draws.
    """

    def __init__(self, size: int, seed: int) -> None:
        if size < 0:
            raise ValueError(f"size = {size}: should be at least 0; 0 keeps no pictures")
        self.size = size
        self._chance = torch.Generator().manual_seed(seed)
        self._pictures: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._pictures)

    def exchange(self, pictures: Tensor) -> Tensor:
        """As many pictures as came, (N, C, H, W), each the new one or an old one; no gradients."""
        pictures = pictures.detach()
        if not self.size:
            return pictures
        if self._pictures and self._pictures[0].shape != pictures.shape[1:]:
            held, new = tuple(self._pictures[0].shape), tuple(pictures.shape[1:])
            raise ValueError(
                f"pictures of shape {new}: the pool holds some of {held}; clear it between phases"
            )
        return torch.stack([self._exchange_one(picture) for picture in pictures])

    def clear(self) -> None:
        """Forget the pictures, as at the start of a phase with another size."""
        self._pictures.clear()

    def state_dict(self) -> dict[str, Any]:
        """Everything that continues it exactly: numbers and tensors only."""
        return {
            "size": self.size,
            "chance": self._chance.get_state(),
            # On the CPU: a state may be loaded where there is no such device.
            "pictures": [picture.cpu() for picture in self._pictures],
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device | str = "cpu") -> None:
        """Continue from a state."""
        if state["size"] != self.size:
            raise ValueError(
                f"size = {self.size}: the state is of a pool of {state['size']}; "
                "use that size, or begin anew"
            )
        self._chance.set_state(state["chance"])
        self._pictures = [picture.to(device) for picture in state["pictures"]]

    def _exchange_one(self, picture: Tensor) -> Tensor:
        if len(self._pictures) < self.size:
            self._pictures.append(picture.clone())
            return picture
        if torch.rand((), generator=self._chance) < 0.5:
            return picture
        place = int(torch.randint(self.size, (), generator=self._chance))
        old, self._pictures[place] = self._pictures[place], picture.clone()
        return old
