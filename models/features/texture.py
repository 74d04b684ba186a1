"""Features of a picture's fine texture by fixed random filters: no weights to get, no faces known.

An instrument for the distance between two sets of pictures whose difference is fine detail. Random
features of raw pictures do not see it, so each picture is first freed of everything coarse. And
they are told of each place, not of the whole picture: strands belong into hair and nothing into
the background, so that the same noise all over is no finish.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

# Filters of brightness, and of each of two colour differences, at each of two scales.
NUM_BRIGHTNESS, NUM_COLOUR = 12, 4
_SCALES = 2
# Side of a place in pixels.
PLACE_PX = 32
_SEED = 20_250_502
# Brightness, blue less brightness, red less brightness, as JPEG has them.
_OPPONENTS = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))


class TextureFeatures(nn.Module):
    """(N, 3, H, W) in -1..1 to (N, places, 80): mean and spread of each filter's answer there."""

    filters: Tensor
    opponents: Tensor
    blur: Tensor

    def __init__(self) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(_SEED)
        filters = torch.randn(NUM_BRIGHTNESS + 2 * NUM_COLOUR, 1, 5, 5, generator=chance)
        # Nothing of the mean level, and length 1.
        filters -= filters.mean((2, 3), keepdim=True)
        self.register_buffer("filters", filters / filters.flatten(1).norm(dim=1).view(-1, 1, 1, 1))
        self.register_buffer("opponents", torch.tensor(_OPPONENTS).view(3, 3, 1, 1))
        taps = torch.exp(-0.5 * (torch.arange(-4, 5) / 2.0) ** 2)
        blur = torch.outer(taps, taps)
        self.register_buffer("blur", (blur / blur.sum()).expand(3, 1, 9, 9).clone())

    def forward(self, pictures: Tensor) -> Tensor:
        """The features of each place of each picture."""
        if min(pictures.shape[-2:]) < PLACE_PX:
            raise ValueError(
                f"pictures of {pictures.shape[-1]} x {pictures.shape[-2]} px: texture is told of "
                f"places of {PLACE_PX} px; take larger pictures"
            )
        planes, found = functional.conv2d(pictures, self.opponents), []
        for scale in range(_SCALES):
            answers, side = self._answers(planes), PLACE_PX >> scale
            mean = functional.avg_pool2d(answers, side)
            square = functional.avg_pool2d(answers.square(), side)
            found += [mean, (square - mean.square()).clamp_min(0).sqrt()]
            planes = functional.avg_pool2d(planes, 2)
        # Answers are small numbers; their order of magnitude is what differs.
        return torch.cat(found, 1).mul(100).log1p().flatten(2).transpose(1, 2)

    def _answers(self, planes: Tensor) -> Tensor:
        """How strongly each filter answers to the detail of its plane, at every pixel."""
        around = functional.pad(planes, (4,) * 4, mode="reflect")
        detail = planes - functional.conv2d(around, self.blur, groups=3)
        detail = functional.pad(detail, (2,) * 4, mode="reflect")
        answers = [
            functional.conv2d(detail[:, :1], self.filters[:NUM_BRIGHTNESS]),
            functional.conv2d(detail[:, 1:], self.filters[NUM_BRIGHTNESS:], groups=2),
        ]
        return torch.cat(answers, 1).abs()

    @torch.inference_mode()
    def of_levels(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """The features of pictures (height, width, 3) of levels: a row for each place of each."""
        rows = []
        for picture in pictures:
            levels = torch.from_numpy(np.array(picture)).to(self.blur.device)
            unit = levels.permute(2, 0, 1)[None].float() / 127.5 - 1
            rows.append(self(unit)[0].double().cpu().numpy())
        return np.concatenate(rows)
