"""A scorer ready for use: opened from a folder or file, faces in, numbers out, folder out again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from models.checksums import sha256_of
from models.facescore.network import FaceScorer, build_scorer
from models.facescore.pixels import Picture, shown
from models.facescore.published import (
    FACE_SCORE,
    IMAGE_REWARD,
    MED_CONFIG,
    read_published,
    refuse_other_names,
)
from models.facescore.texts import face_tokens, tokens_of
from models.heads.folder import CONFIG, WEIGHTS, sha256
from schemas.facescore import (
    IMAGE_REWARD_MEAN,
    IMAGE_REWARD_STD,
    SCORER_FORMAT,
    SCORER_VERSION,
    ScorerConfig,
)
from schemas.settings import as_plain, resolve

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scorer:
    """A network with the scale of its scores and where it came from."""

    network: FaceScorer
    folder: Path
    weights_sha256: str
    reward_mean: float = 0.0
    reward_std: float = 1.0

    def prepared(self, crop: Picture) -> Tensor:
        """A face's crop as the network sees it; any thread may ask for it."""
        return shown(crop, self.network.shape.image_px)

    @torch.inference_mode()
    def of_prepared(self, ready: Sequence[Tensor], texts: Sequence[str] | None = None) -> Scores:
        """The score of each crop that is prepared; of "A face." where no text is given."""
        if not ready:
            return np.zeros(0)
        device = next(self.network.parameters()).device
        told = face_tokens().repeated(len(ready))
        if texts is not None:
            told = tokens_of(texts, self.folder)
        raw = self.network(torch.stack(list(ready)).to(device), told.to(device))
        scores: Scores = (raw.double().cpu().numpy() - self.reward_mean) / self.reward_std
        return scores

    def score(self, crops: Sequence[Picture], batch_size: int = 32) -> Scores:
        """The score of each crop, so many at once."""
        # Prepared batch by batch: a crop of 224 px takes 0.6 MB as the network sees it.
        parts = [
            self.of_prepared([self.prepared(crop) for crop in crops[start : start + batch_size]])
            for start in range(0, len(crops), batch_size)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)


def weight_file(place: Path) -> Path:
    """The file of weights that a folder or a file names; ValueError says what there should be."""
    if place.is_file():
        return place
    for name in (WEIGHTS, FACE_SCORE, IMAGE_REWARD):
        if (place / name).is_file():
            return place / name
    raise ValueError(
        f"{place}: holds no face scorer; name a folder with {FACE_SCORE} or {IMAGE_REWARD} and "
        "med_config.json (relume fetch --scorer), or the folder that `relume facescore train` wrote"
    )


def files_to_open(place: Path) -> tuple[Path, Path]:
    """The weights and the settings beside them, which decide scores as much; ValueError without."""
    weights = weight_file(place)
    config = weights.with_name(CONFIG if weights.name == WEIGHTS else MED_CONFIG)
    if not config.is_file():
        raise ValueError(f"{config}: is missing; put it beside {weights.name}, where it belongs")
    return weights, config


def open_scorer(place: Path) -> Scorer:
    """A scorer in evaluation mode; a ValueError names what is wrong with its files.

    FS_model.pt gives its network's output, ImageReward.pt ImageReward's own scale. Other files of
    their layout are read as FS_model.pt is.
    """
    path = weight_file(place)
    if path.name == WEIGHTS:
        return _open_ours(path)
    shape, weights = read_published(path)
    network = build_scorer(shape)
    refuse_other_names(weights, network.state_dict(), path)
    network.load_state_dict(weights)
    scale: tuple[float, float] = (0.0, 1.0)
    if path.name == IMAGE_REWARD:
        scale = IMAGE_REWARD_MEAN, IMAGE_REWARD_STD
    return Scorer(network.eval(), path.parent, sha256_of([path])[path], *scale)


def scorer_files(network: FaceScorer, began_from: str | None) -> Mapping[str, bytes]:
    """The files of a scorer's own folder, by their names; its scores are its network's output."""
    tensors = {name: one.detach().cpu().contiguous() for name, one in network.state_dict().items()}
    weights = save(tensors)
    config = ScorerConfig(
        shape=network.shape, weights_sha256=sha256(weights), began_from=began_from
    )
    return {
        CONFIG: json.dumps(as_plain(config), indent=2).encode() + b"\n",
        WEIGHTS: weights,
    }


def _open_ours(path: Path) -> Scorer:
    place = path.with_name(CONFIG)
    try:
        told = json.loads(place.read_bytes())
    except OSError as error:
        raise ValueError(f"{place}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{place}: is not JSON: {error}; get the scorer again") from None
    if not isinstance(told, dict) or told.get("format") != SCORER_FORMAT:
        raise ValueError(
            f"{place}: is of no face scorer (format is not {SCORER_FORMAT!r}); name the folder "
            "that `relume facescore train` wrote"
        )
    if told.get("version") != SCORER_VERSION:
        raise ValueError(
            f"{place}: version = {told.get('version')!r}: this Relume reads {SCORER_VERSION}; "
            "use the Relume that wrote it"
        )
    config = resolve(ScorerConfig, told, str(place))
    content = path.read_bytes()
    if sha256(content) != config.weights_sha256:
        raise ValueError(
            f"{path}: is not the file that {CONFIG} is of (its sha256 differs); get it again"
        )
    try:
        weights = load(content)
    except SafetensorError as error:
        raise ValueError(f"{path}: is no safetensors file: {error}") from None
    network = build_scorer(config.shape)
    refuse_other_names(weights, network.state_dict(), path)
    network.load_state_dict(weights)
    return Scorer(
        network.eval(), path.parent, config.weights_sha256, config.reward_mean, config.reward_std
    )
