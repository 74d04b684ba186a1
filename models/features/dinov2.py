"""DINOv2's picture features, for FD-DINOv2 (Stein et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.features.resizing import Picture, bicubic_levels
from models.features.vision_hub import HUB_MODELS, check_levels, load_hub, normalised

SIDE_PX = 224
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Dinov2Features:
    """Pictures to the normed class token, 1,024 numbers for the large model."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def of_levels(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Features (N, D) of pictures of levels."""
        return self.of_prepared([self.prepared(picture) for picture in pictures])

    def prepared(self, picture: Picture) -> Tensor:
        """A picture squeezed to 224 x 224 by Pillow's bicubic, shifted and scaled."""
        check_levels([picture])
        return normalised([bicubic_levels(picture, SIDE_PX, SIDE_PX)], _MEAN, _SPREAD)[0]

    @torch.inference_mode()
    def of_prepared(self, shown: Sequence[Tensor]) -> NDArray[np.float32]:
        """Features of pictures that are prepared."""
        tokens = self.model(torch.stack(list(shown)).to(self.model.device)).last_hidden_state
        found: NDArray[np.float32] = tokens[:, 0].float().cpu().numpy()
        return found


def load_dinov2(
    model: str = HUB_MODELS["dinov2"].model, revision: str | None = None, device: str = "cpu"
) -> Dinov2Features:
    """The model in this folder, or in the hub's cache under this name."""
    return Dinov2Features(load_hub("Dinov2Model", model, revision).to(device))
