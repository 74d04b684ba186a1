"""Human Preference Score v2.1 (Wu et al. 2023): OpenCLIP's ViT-H/14, tuned on people's choices.

Scores are told as in the authors' benchmark, 100 x the cosine; their score() leaves the 100 out.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.features.clip import CLIP_MEAN, CLIP_SPREAD, cosines_of
from models.features.clip_texts import ClipTexts, text_embeddings
from models.features.open_clip import clip_model
from models.features.resizing import Picture
from models.features.vision_hub import check_levels, shifted
from models.quiet import quiet
from models.tensor_file import read_tensors

FILE, WORDS, MERGES = "HPS_v2.1_compressed.pt", "vocab.json", "merges.txt"
_MEND = "get it with: relume fetch --scorer HPS"
# Of ViT-H/14: a head of attention has so many features among patches, and among tokens.
_VISION_HEAD, _TEXT_HEAD = 80, 64


class Hps:
    """How well people would like a picture for its prompt."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self._texts = ClipTexts(tokenizer, model.config.text_config.max_position_embeddings)

    def prepared(self, picture: Picture) -> Tensor:
        """The whole picture, its longer side resized, in the middle of a black square.

        By torch's bicubic with antialias on floats that are not cut to 0..1, which is what the
        authors' code does with torchvision from 0.17 on; older ones resized without antialias.
        """
        check_levels([picture])
        side = self.model.config.vision_config.image_size
        unit = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
        height, width = picture.shape[:2]
        scale = side / max(height, width)
        if scale != 1:
            height, width = max(1, round(height * scale)), max(1, round(width * scale))
            unit = functional.interpolate(unit, (height, width), mode="bicubic", antialias=True)
        left, top = (side - width) // 2, (side - height) // 2
        edges = (left, side - width - left, top, side - height - top)
        return shifted(functional.pad(unit, edges), CLIP_MEAN, CLIP_SPREAD)[0]

    @torch.inference_mode()
    def of_prepared(self, shown: Sequence[Tensor], texts: Sequence[str]) -> NDArray[np.float64]:
        """Score, and whether the text was cut (N, 2), of pictures that are prepared."""
        read = [self._texts(_clean(text)) for text in texts]
        cosines = cosines_of(self.model, shown, text_embeddings(self.model, read))
        return np.stack([100 * cosines, [one.is_cut for one in read]], 1)


def hps_files(folder: Path) -> list[Path]:
    """The files that a score follows from; ValueError names one that is missing."""
    files = [folder / name for name in (FILE, WORDS, MERGES)]
    for path in files:
        if not path.is_file():
            raise ValueError(f"{path}: is missing; {_MEND}")
    return files


def load_hps(folder: Path, device: str = "cpu") -> Hps:
    """The published network of this folder; ValueError names what is wrong with its files."""
    quiet()
    weights, words, merges = hps_files(folder)
    told = read_tensors(weights, _MEND, inside="state_dict")
    model = clip_model(told, weights, vision_head=_VISION_HEAD, text_head=_TEXT_HEAD)
    tokenizer = _tokenizer(words, merges)
    known, wanted = len(tokenizer), model.config.text_config.vocab_size
    if known != wanted:
        raise ValueError(f"{words}: has {known} tokens, {weights.name} {wanted}; {_MEND}")
    return Hps(model.to(device), tokenizer)


def _clean(text: str) -> str:
    """As OpenCLIP reads a text, but that it also mends wrongly decoded letters with ftfy."""
    return " ".join(html.unescape(html.unescape(text)).split())


def _tokenizer(words: Path, merges: Path) -> Any:
    from transformers import CLIPTokenizer

    try:
        vocabulary = json.loads(words.read_bytes())
        lines = merges.read_text(encoding="utf-8").split("\n")[1:]
        pairs = [(left, right) for left, right in (line.split() for line in lines if line)]
        return CLIPTokenizer(vocab=vocabulary, merges=pairs)
    except Exception as error:  # tokenizers raises its own, which have no base in common
        why = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{words.parent}: {words.name} and {merges.name} are damaged: {why}"
        ) from None
