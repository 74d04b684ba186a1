"""Networks that see the prompt beside the picture: CLIP-Score, ImageReward, HPS v2.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.measure import ONLY_TAP, ClipScoreSettings, HpsSettings, ImageRewardSettings
from tasks.features.beside import Beside

Settings = ClipScoreSettings | ImageRewardSettings | HpsSettings
NO_PROMPT = "has no prompt"
# A score, and whether its prompt was cut off.
_WIDTH = 2


class _Scores(Protocol):
    """What gives scores to pictures with prompts, in two steps."""

    def prepared(self, picture: NDArray[np.uint8]) -> Any: ...

    def of_prepared(self, shown: Sequence[Any], texts: Sequence[str]) -> NDArray[np.float64]: ...


class PromptedNetwork:
    """A score of each picture and its prompt; no number where there is no prompt."""

    def __init__(self, settings: Settings, device: str) -> None:
        self._scores = _loaded(settings, device)

    def prepared(self, picture: NDArray[np.uint8], beside: Beside) -> Any:
        """The picture as the network takes it and its prompt; None where it has none."""
        return (self._scores.prepared(picture), beside.prompt) if beside.prompt.strip() else None

    def features(self, shown: Sequence[Any]) -> Mapping[int, NDArray[np.floating]]:
        """Score, and whether its prompt was cut (N, 2), of each picture that is prepared."""
        found = np.full((len(shown), _WIDTH), np.nan)
        known = [place for place, one in enumerate(shown) if one is not None]
        if known:
            pictures, prompts = zip(*(shown[place] for place in known), strict=True)
            found[known] = self._scores.of_prepared(pictures, prompts)
        return {ONLY_TAP: found}


def prompted_files(settings: Settings) -> list[Path]:
    """The files that scores follow from; ValueError names one that is missing, and the mend."""
    if isinstance(settings, ImageRewardSettings):
        from models.facescore.image_reward import image_reward_files

        return image_reward_files(Path(settings.model))
    if isinstance(settings, HpsSettings):
        from models.features.hps import hps_files

        return hps_files(Path(settings.model))
    from models.features.vision_hub import text_files, weight_files

    return [*weight_files(settings.model), *text_files(settings.model)]


def _loaded(settings: Settings, device: str) -> _Scores:
    if isinstance(settings, ImageRewardSettings):
        from models.facescore.image_reward import load_image_reward

        return load_image_reward(Path(settings.model), device)
    if isinstance(settings, HpsSettings):
        from models.features.hps import load_hps

        return load_hps(Path(settings.model), device)
    from models.features.clip import load_clip_score

    return load_clip_score(settings.model, device=device)
