"""Features of a picture's fine texture by fixed random filters: no weights to get, no faces known.

An instrument for the distance between two sets of pictures whose difference is fine detail. Random
features of raw pictures do not see it, so each picture is first freed of everything coarse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

# Filters at each of two scales; few, so that some hundred pictures tell their covariance.
NUM_FILTERS = 16
_SCALES = 2
_SEED = 20_250_502


class TextureFeatures(nn.Module):
    """(N, 3, H, W) in -1..1 to (N, 2 x 16 x 2): the mean and spread of each filter's answer."""

    filters: Tensor
    blur: Tensor

    def __init__(self) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(_SEED)
        filters = torch.randn(NUM_FILTERS, 3, 5, 5, generator=chance)
        # Nothing of the mean level, and length 1.
        filters -= filters.mean((2, 3), keepdim=True)
        self.register_buffer("filters", filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
        taps = torch.exp(-0.5 * (torch.arange(-4, 5) / 2.0) ** 2)
        blur = torch.outer(taps, taps)
        self.register_buffer("blur", (blur / blur.sum()).expand(3, 1, 9, 9).clone())

    def forward(self, pictures: Tensor) -> Tensor:
        """The features of each picture."""
        found = []
        for _ in range(_SCALES):
            smooth = functional.conv2d(
                functional.pad(pictures, (4,) * 4, mode="reflect"), self.blur, groups=3
            )
            answers = functional.conv2d(pictures - smooth, self.filters).abs()
            found += [answers.mean((2, 3)), answers.std((2, 3))]
            pictures = functional.avg_pool2d(pictures, 2)
        # Answers are small numbers; their order of magnitude is what differs.
        return torch.cat(found, 1).mul(100).log1p()

    @torch.inference_mode()
    def of_levels(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """The features of pictures (height, width, 3) of levels."""
        rows = []
        for picture in pictures:
            levels = torch.from_numpy(np.array(picture)).to(self.blur.device)
            unit = levels.permute(2, 0, 1)[None].float() / 127.5 - 1
            rows.append(self(unit)[0].double().cpu().numpy())
        return np.stack(rows)
