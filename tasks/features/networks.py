"""The networks that features are taken with; torch is imported when one is loaded.

Instruments that are no networks, pixels beside pixels and spectra, come by the same two steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.facescore import FaceScoreSettings
from schemas.measure import (
    ONLY_TAP,
    ClipIqaSettings,
    ClipScoreSettings,
    CmmdSettings,
    DetailSettings,
    Dinov2Settings,
    FaceScoreNetworkSettings,
    FeatureNumerics,
    HpsSettings,
    IdentitySettings,
    ImageRewardSettings,
    InceptionSettings,
    NetworkSettings,
    PairsSettings,
    TextureSettings,
)
from tasks.features.beside import Beside, Picture

Floats = NDArray[np.floating]
# What the numbers of instruments without a network stand for, in their order.
PAIRS = ("ssim_source", "error_source", "ssim_target", "error_target")
PAIRS_LPIPS = ("lpips_source", "lpips_target")
DETAIL = ("net_pattern", "finest", "fine", "middle")
# These look at source and target too.
PAIRED = ("pairs", "detail")


class Network(Protocol):
    """What looks at pictures, in two steps, so that the first can run beside the second."""

    def prepared(self, picture: Picture, beside: Beside) -> Any:
        """A picture of levels as the network takes it, resized; any thread may ask for it."""
        ...

    def features(self, shown: Sequence[Any]) -> Mapping[int, Floats]:
        """Features (N, D), or (N, places, D), by tap of pictures that are prepared."""
        ...


def weights_of(network: NetworkSettings) -> dict[str, str]:
    """The checksum of each file of weights by its name; ValueError names one that is missing."""
    from models.checksums import sha256_of

    if isinstance(network, TextureSettings | DetailSettings):
        return {}
    if isinstance(network, PairsSettings):
        from tasks.features.paired_networks import lpips_of

        return {} if network.lpips is None else lpips_of(network).weights()
    if isinstance(network, IdentitySettings):
        from models.faces.weights import weight_sums

        return weight_sums(network.faces)
    if isinstance(network, FaceScoreNetworkSettings):
        from tasks.facescore.faces import scorer_weights

        return scorer_weights(_scoring(network), Path(network.model))
    if isinstance(network, ClipScoreSettings | ImageRewardSettings | HpsSettings):
        from tasks.features.prompted_networks import prompted_files

        files = prompted_files(network)
    elif isinstance(network, InceptionSettings):
        from models.features.inception import weight_file

        files = [weight_file(Path(network.weights))]
    else:
        from models.features.vision_hub import weight_files

        files = weight_files(network.model)
    return {path.name: one for path, one in sha256_of(files).items()}


def device_of(numerics: FeatureNumerics) -> str:
    """Where networks run; ValueError where a GPU is asked for and there is none."""
    import torch

    there = torch.cuda.is_available()
    if numerics.device == "cuda" and not there:
        raise ValueError(
            'evaluate.device = "cuda": this machine has no GPU; say "auto", or run it where one is'
        )
    return "cuda" if there and numerics.device != "cpu" else "cpu"


def load_network(network: NetworkSettings, numerics: FeatureNumerics) -> Network:
    """The network, in full float32 on a GPU too."""
    if isinstance(network, PairsSettings | DetailSettings):
        from tasks.features.paired_networks import PairedDetail, PairedPixels

        return PairedPixels(network) if isinstance(network, PairsSettings) else PairedDetail()
    if isinstance(network, IdentitySettings):
        return _Identity(network)
    import torch

    torch.set_num_threads(numerics.threads)
    # By default cuDNN rounds to ten bits inside, which shows in the third digit of features.
    torch.backends.cudnn.allow_tf32 = False
    device = device_of(numerics)
    if isinstance(network, FaceScoreNetworkSettings):
        return _FaceScore(network, numerics)
    if isinstance(network, ClipScoreSettings | ImageRewardSettings | HpsSettings):
        from tasks.features.prompted_networks import PromptedNetwork

        return PromptedNetwork(network, device)
    if isinstance(network, TextureSettings):
        return _Texture(device)
    if isinstance(network, InceptionSettings):
        return _Inception(network, device)
    return _OneTap(network, device)


class _Inception:
    def __init__(self, settings: InceptionSettings, device: str) -> None:
        from models.features.inception import load_inception

        self._network = load_inception(Path(settings.weights)).to(device)
        self._policy, self._taps = settings.policy, settings.taps

    def prepared(self, picture: Picture, beside: Beside) -> Any:
        from models.features.inception import SIDE_PX
        from models.features.resizing import resized

        return resized(picture, self._policy, SIDE_PX)

    def features(self, shown: Sequence[Any]) -> Mapping[int, Floats]:
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

    def prepared(self, picture: Picture, beside: Beside) -> Any:
        return self._network.prepared(picture)

    def features(self, shown: Sequence[Any]) -> Mapping[int, Floats]:
        return {ONLY_TAP: self._network.of_prepared(shown)}


class _Texture:
    def __init__(self, device: str) -> None:
        from models.features.texture import TextureFeatures

        self._filters = TextureFeatures().to(device)

    def prepared(self, picture: Picture, beside: Beside) -> Any:
        from models.features.texture import PLACE_PX

        if min(picture.shape[:2]) < PLACE_PX:
            height, width = picture.shape[:2]
            raise ValueError(
                f"is {width} x {height} px: texture is told of places of {PLACE_PX} px; "
                "take larger pictures"
            )
        return picture

    def features(self, shown: Sequence[Any]) -> Mapping[int, Floats]:
        return {ONLY_TAP: np.stack([self._filters.of_levels([one]) for one in shown])}


class _Identity:
    def __init__(self, settings: IdentitySettings) -> None:
        from models.features.identity import IdentityFeatures

        self._network = IdentityFeatures(settings.faces)

    def prepared(self, picture: Picture, beside: Beside) -> Any:
        return picture

    def features(self, shown: Sequence[Any]) -> Mapping[int, Floats]:
        return {ONLY_TAP: self._network.of_levels(shown)}


class _FaceScore:
    def __init__(self, settings: FaceScoreNetworkSettings, numerics: FeatureNumerics) -> None:
        from tasks.facescore.faces import FaceScore

        device_of(numerics)  # a GPU that is asked for and not there is refused by its own words
        asked = replace(_scoring(settings), device=numerics.device, threads=numerics.threads)
        self._score = FaceScore(asked, Path(settings.model))
        self._score.load()

    def prepared(self, picture: Picture, beside: Beside) -> Any:
        return picture

    def features(self, shown: Sequence[Any]) -> Mapping[int, Floats]:
        found = self._score.score(shown)
        for number, one in enumerate(found):
            if one.status == "error":
                raise ValueError(f"picture {number}: {one.reason}")
        # A picture without a face has no score, which is not 0.
        scores = [[np.nan if one.score is None else one.score] for one in found]
        return {ONLY_TAP: np.array(scores)}


def _scoring(settings: FaceScoreNetworkSettings) -> FaceScoreSettings:
    return FaceScoreSettings(faces=settings.faces, picture=settings.picture)
