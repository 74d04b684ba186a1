"""The networks that features are taken with; torch is imported when one is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.measure import (
    ONLY_TAP,
    ClipIqaSettings,
    CmmdSettings,
    Dinov2Settings,
    FeatureSettings,
    InceptionSettings,
)

Picture = NDArray[np.uint8]


class Network(Protocol):
    """What looks at pictures, in two steps, so that the first can run beside the second."""

    def prepared(self, picture: Picture) -> Any:
        """A picture of levels as the network takes it, resized; any thread may ask for it."""
        ...

    def features(self, shown: Sequence[Any]) -> Mapping[int, NDArray[np.float32]]:
        """Features (N, D) by tap of pictures that are prepared."""
        ...


def weights_of(settings: FeatureSettings) -> dict[str, str]:
    """The checksum of each file of weights by its name; ValueError names one that is missing."""
    from models.generators.diffusers_pair.checksums import sha256_of

    network = settings.network
    if isinstance(network, InceptionSettings):
        from models.features.inception import weight_file

        files = [weight_file(Path(network.weights))]
    else:
        from models.features.vision_hub import weight_files

        files = weight_files(network.model)
    return {path.name: one for path, one in sha256_of(files).items()}


def load_network(settings: FeatureSettings) -> Network:
    """The network, on a GPU where there is one, in full float32."""
    import torch

    torch.set_num_threads(settings.threads)
    # By default cuDNN rounds to ten bits inside, which shows in the third digit of features.
    torch.backends.cudnn.allow_tf32 = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = settings.network
    if isinstance(network, InceptionSettings):
        return _Inception(network, device)
    return _OneTap(network, device)


class _Inception:
    def __init__(self, settings: InceptionSettings, device: str) -> None:
        from models.features.inception import load_inception

        self._network = load_inception(Path(settings.weights)).to(device)
        self._policy, self._taps = settings.policy, settings.taps

    def prepared(self, picture: Picture) -> Any:
        from models.features.inception import SIDE_PX
        from models.features.resizing import resized

        return resized(picture, self._policy, SIDE_PX)

    def features(self, shown: Sequence[Any]) -> Mapping[int, NDArray[np.float32]]:
        found = self._network.of_prepared(shown, self._taps)
        return {int(tap): one for tap, one in found.items()}


class _OneTap:
    def __init__(
        self, settings: Dinov2Settings | CmmdSettings | ClipIqaSettings, device: str
    ) -> None:
        from models.features.clip import load_clip_iqa, load_cmmd
        from models.features.dinov2 import load_dinov2

        load = {"dinov2": load_dinov2, "cmmd": load_cmmd, "clip_iqa": load_clip_iqa}
        self._network: Any = load[settings.kind](settings.model, device=device)

    def prepared(self, picture: Picture) -> Any:
        return self._network.prepared(picture)

    def features(self, shown: Sequence[Any]) -> Mapping[int, NDArray[np.float32]]:
        return {ONLY_TAP: self._network.of_prepared(shown)}
