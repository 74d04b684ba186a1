"""The names that Face Score's and ImageReward's published files give to the scorer's weights.

A file is taken whole or refused: the reference itself loads with `strict=False`, by which a renamed
tensor keeps its random start and every score is noise.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from models.tensor_file import read_tensors
from schemas.facescore import ScorerShape

FACE_SCORE, IMAGE_REWARD, MED_CONFIG = "FS_model.pt", "ImageReward.pt", "med_config.json"
# In the files, and of no use to the score: BLIP's projections for another task, and a counter.
_UNUSED = re.compile(r"blip\.(vision_proj|text_proj)\.(weight|bias)|.*\.position_ids")
# A head of BLIP's vision transformers, base and large, has so many features.
_HEAD_WIDTH = 64
_VISION, _LAYER = "blip.visual_encoder.", re.compile(r"blocks\.(\d+)\.(.+)")
_OF_VISION = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj.weight": "embeddings.patch_embedding.weight",
    "patch_embed.proj.bias": "embeddings.patch_embedding.bias",
    "norm.weight": "post_layernorm.weight",
    "norm.bias": "post_layernorm.bias",
}
_OF_LAYER = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.qkv": "self_attn.qkv",
    "attn.proj": "self_attn.projection",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_BACK = {ours: theirs for theirs, ours in _OF_VISION.items()}
_LAYER_BACK = {ours: theirs for theirs, ours in _OF_LAYER.items()}


def our_name(published: str) -> str | None:
    """What the scorer calls a published tensor, None for one that it has no use for."""
    if _UNUSED.fullmatch(published):
        return None
    if published.startswith("mlp.layers."):
        return "mlp." + published.removeprefix("mlp.layers.")
    if published.startswith("blip.text_encoder."):
        return "text." + published.removeprefix("blip.text_encoder.")
    inside = published.removeprefix(_VISION)
    if inside in _OF_VISION:
        return f"vision.{_OF_VISION[inside]}"
    if found := _LAYER.fullmatch(inside):
        kind, _, end = found[2].rpartition(".")
        return f"vision.encoder.layers.{found[1]}.{_OF_LAYER.get(kind, kind)}.{end}"
    return published


def published_name(ours: str) -> str:
    """What the published files call one of the scorer's tensors."""
    room, _, inside = ours.partition(".")
    if room == "mlp":
        return f"mlp.layers.{inside}"
    if room == "text":
        return f"blip.text_encoder.{inside}"
    if inside in _BACK:
        return _VISION + _BACK[inside]
    _, _, number, kind_and_end = inside.split(".", 3)
    kind, _, end = kind_and_end.rpartition(".")
    return f"{_VISION}blocks.{number}.{_LAYER_BACK[kind]}.{end}"


def read_published(path: Path) -> tuple[ScorerShape, dict[str, Tensor]]:
    """Sizes and weights, in the scorer's names, of a published file and med_config.json beside it.

    The file is unpickled as tensors alone; a ValueError names what is wrong.
    """
    told = read_tensors(path, f"get {path.name} and {MED_CONFIG} from their publishers' pages")
    shape = _shape(told, path)
    weights: dict[str, Tensor] = {}
    for name, tensor in told.items():
        ours = our_name(name)
        if ours is not None:
            weights[ours] = tensor.float()
    return shape, weights


def refuse_other_names(
    weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], path: Path
) -> None:
    """Raise a ValueError that names the first tensor that is missing, too many, or of a size."""
    lacking = [name for name in wanted if name not in weights]
    more = [name for name in weights if name not in wanted]
    if lacking or more:
        told = []
        if lacking:
            told.append(f"{len(lacking)} missing, the first {_both(lacking[0])}")
        if more:
            told.append(f"{len(more)} unknown, the first {_both(more[0])}")
        raise ValueError(
            f"{path}: tensors are not those of a face scorer: {'; '.join(told)}; "
            "use the file as its publisher wrote it"
        )
    for name, tensor in wanted.items():
        if weights[name].shape != tensor.shape:
            raise ValueError(
                f"{path}: {_both(name)} is of {tuple(weights[name].shape)}, should be "
                f"{tuple(tensor.shape)}; use the file and the {MED_CONFIG} that belong together"
            )


def _both(name: str) -> str:
    """A tensor by the name in the file, where it has another one there."""
    try:
        return published_name(name)
    except (KeyError, ValueError):
        return name


def _shape(told: Mapping[str, Tensor], path: Path) -> ScorerShape:
    """The sizes: of vision by the tensors, of text by med_config.json."""
    patches = _needed(told, f"{_VISION}patch_embed.proj.weight", 4, path)
    places = _needed(told, f"{_VISION}pos_embed", 3, path)
    inner = _needed(told, f"{_VISION}blocks.0.mlp.fc1.weight", 2, path)
    vision_width, patch_px = patches.shape[0], patches.shape[-1]
    layers = {
        int(found[1])
        for name in told
        if (found := _LAYER.fullmatch(name.removeprefix(_VISION))) and name.startswith(_VISION)
    }
    med = _read_med_config(path.with_name(MED_CONFIG))
    try:
        return ScorerShape(
            image_px=math.isqrt(places.shape[1] - 1) * patch_px,
            patch_px=patch_px,
            vision_width=vision_width,
            vision_layers=max(layers) + 1,
            vision_heads=max(1, vision_width // _HEAD_WIDTH),
            vision_inner=inner.shape[0],
            text_width=med["hidden_size"],
            text_layers=med["num_hidden_layers"],
            text_heads=med["num_attention_heads"],
            text_inner=med["intermediate_size"],
            text_dropout=med.get("hidden_dropout_prob", 0.1),
            text_norm_eps=med.get("layer_norm_eps", 1e-12),
            vocabulary=med["vocab_size"],
            positions=med["max_position_embeddings"],
        )
    except KeyError as error:
        raise ValueError(
            f"{path.with_name(MED_CONFIG)}: has no {error.args[0]}; use the published file"
        ) from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: sizes do not fit a face scorer: {error}") from None


def _needed(told: Mapping[str, Tensor], name: str, dimensions: int, path: Path) -> Tensor:
    tensor = told.get(name)
    if tensor is None or tensor.dim() != dimensions:
        what = "is missing" if tensor is None else f"is of {tuple(tensor.shape)}"
        raise ValueError(
            f"{path}: {name} {what}, so this is no file of Face Score or ImageReward; "
            "use the file as its publisher wrote it"
        )
    return tensor


def _read_med_config(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read: {error.strerror}; put the published {MED_CONFIG} beside "
            "the weights"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON: {error}; use the published file") from None
    if not isinstance(told, dict):
        raise ValueError(f"{path}: is no table of settings; use the published file")
    return told
