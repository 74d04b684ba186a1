"""Vision models in transformers' layout, read from a folder or the hub's cache and never online."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.features.resizing import Picture
from models.quiet import quiet

MEND = "get it with: relume fetch --metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """A model of the hub, and which of its files are read beside its weights."""

    model: str
    files: tuple[str, ...]


_TEXTS = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json")
HUB_MODELS: Mapping[str, HubModel] = {
    # FD-DINOv2 of Stein et al. 2023.
    "dinov2": HubModel(model="facebook/dinov2-large", files=("config.json",)),
    # CMMD of Jayasumana et al. 2024.
    "cmmd": HubModel(model="openai/clip-vit-large-patch14-336", files=("config.json",)),
    "clip_iqa": HubModel(model="openai/clip-vit-base-patch16", files=("config.json", *_TEXTS)),
    # CLIP-Score of Hessel et al. 2021, with torchmetrics' default.
    "clip_score": HubModel(model="openai/clip-vit-large-patch14", files=("config.json", *_TEXTS)),
}


def weight_files(model: str, revision: str | None = None) -> list[Path]:
    """The file of weights of a model that is here; ValueError where it is missing."""
    folder, where = Path(model), _where(model)
    if not folder.is_dir() and where != model:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model, "config.json", revision=revision)
        folder = Path(found).parent if isinstance(found, str) else folder
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return [folder / name]
    raise ValueError(f"{where}: has no weights of {model!r}; {MEND}")


def text_files(model: str) -> list[Path]:
    """The tokenizer's files beside the weights; ValueError where the weights are missing."""
    folder = weight_files(model)[0].parent
    return [folder / name for name in _TEXTS if (folder / name).is_file()]


def _where(model: str) -> str:
    """The folder that is named, or where the hub's cache has a model of this name."""
    from huggingface_hub.constants import HF_HUB_CACHE

    # The hub's names are of one part or two.
    if Path(model).exists() or Path(model).is_absolute() or len(Path(model).parts) > 2:
        return model
    return str(Path(HF_HUB_CACHE) / f"models--{model.replace('/', '--')}")


def load_hub(kind: str, model: str, revision: str | None = None, **more: Any) -> Any:
    """A transformers class's model from what is here; ValueError where it is missing or another.

    `more` is for the class, as of parts that the published weights do not have.
    """
    quiet()
    import transformers

    named = getattr(transformers, kind)
    # from_pretrained tells of unexpected tensors in a log, and fills missing ones with noise.
    try:
        loaded = named.from_pretrained(
            model,
            revision=revision,
            local_files_only=True,
            **({} if kind.endswith("Tokenizer") else {"output_loading_info": True}),
            **more,
        )
    except OSError as error:
        if not Path(model).exists():
            raise ValueError(f"{_where(model)}: {model!r} is missing there; {MEND}") from None
        raise ValueError(f"{model}: cannot be loaded: {_one_line(error)}; {MEND}") from None
    except (ValueError, RuntimeError, KeyError) as error:
        raise ValueError(f"{model}: cannot be loaded: {_one_line(error)}; {MEND}") from None
    if kind.endswith("Tokenizer"):
        return loaded
    made, told = loaded
    absent = sorted(told["missing_keys"])
    if absent:
        raise ValueError(
            f"{model}: {absent[0]!r} is missing, and {len(absent) - 1} more: "
            f"these are no weights of a {kind}; {MEND}"
        )
    return made.eval().requires_grad_(False).float()


def normalised(
    pictures: Sequence[Picture], mean: Sequence[float], spread: Sequence[float]
) -> Tensor:
    """Pictures of one size, levels 0..255, as (N, 3, H, W) in 0..1, shifted and scaled."""
    levels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    return shifted(levels, mean, spread)


def shifted(unit: Tensor, mean: Sequence[float], spread: Sequence[float]) -> Tensor:
    """Pictures (N, 3, H, W) in 0..1, shifted and scaled."""
    return (unit - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(spread).view(1, 3, 1, 1)


def check_levels(pictures: Sequence[Picture]) -> None:
    """Raise a ValueError unless these are pictures of levels: their range is never guessed."""
    for picture in pictures:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(
                f"picture of {picture.dtype} and shape {picture.shape}: should be uint8 of "
                "(height, width, 3)"
            )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
