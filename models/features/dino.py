"""DINO's picture features (Caron et al. 2021) of pictures on the GPU, with their gradient.

For losses, so it takes tensors and never rounds to levels; FD-DINOv2 is another network's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.features.vision_hub import load_hub

# ImageNet's, as in the published preprocessor_config.json.
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DinoFeatures:
    """Pictures to the tokens of a frozen ViT."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._side_px: int = model.config.image_size
        self._mean = torch.tensor(_MEAN, device=model.device).view(1, 3, 1, 1)
        self._spread = torch.tensor(_SPREAD, device=model.device).view(1, 3, 1, 1)

    def tokens(self, unit: Tensor) -> Tensor:
        """The normed tokens (N, 1 + patches, D), the class token first, of pictures in 0..1.

        Resized by an antialiased bicubic filter to the size that the network was trained at.
        """
        side = self._side_px
        if unit.shape[-2:] != (side, side):
            unit = functional.interpolate(
                unit, (side, side), mode="bicubic", align_corners=False, antialias=True
            )
        found: Tensor = self.model((unit - self._mean) / self._spread).last_hidden_state
        return found


def load_dino(model: str, revision: str | None = None, device: str = "cpu") -> DinoFeatures:
    """The model in this folder, or in the hub's cache under this name."""
    # The published weights have no pooler, which would be random.
    loaded = load_hub("ViTModel", model, revision, add_pooling_layer=False)
    return DinoFeatures(loaded.to(device))
