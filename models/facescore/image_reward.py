"""ImageReward (Xu et al. 2023): the scorer's network on whole pictures with their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.facescore.pixels import Picture
from models.facescore.published import IMAGE_REWARD, MED_CONFIG
from models.facescore.scorer import Scorer, open_scorer
from models.facescore.texts import VOCABULARY, are_cut

_MEND = "get it with: relume fetch --scorer ImageReward"


class ImageReward:
    """How well people would like a picture for its prompt, on ImageReward's own scale."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def prepared(self, picture: Picture) -> Tensor:
        """The middle square of a picture whose shorter side is resized."""
        return self.scorer.prepared(picture)

    def of_prepared(self, shown: Sequence[Tensor], texts: Sequence[str]) -> NDArray[np.float64]:
        """Score, and whether the text was cut (N, 2), of pictures that are prepared."""
        scores = self.scorer.of_prepared(shown, texts)
        return np.stack([scores, are_cut(texts, self.scorer.folder)], 1)


def image_reward_files(folder: Path) -> list[Path]:
    """The files that a score follows from; ValueError names one that is missing."""
    files = [folder / name for name in (IMAGE_REWARD, MED_CONFIG, VOCABULARY)]
    for path in files:
        if not path.is_file():
            raise ValueError(f"{path}: is missing; {_MEND}")
    return files


def load_image_reward(folder: Path, device: str = "cpu") -> ImageReward:
    """The published network of this folder; ValueError names what is wrong with its files."""
    scorer = open_scorer(image_reward_files(folder)[0])
    scorer.network.to(device)
    return ImageReward(scorer)
