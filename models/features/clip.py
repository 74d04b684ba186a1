"""CLIP's embeddings of pictures for CMMD, CLIP-IQA by two short texts, CLIP-Score by the prompt.

The first is of Jayasumana et al. 2024, the second of Wang et al. 2023, the third of Hessel et al.
2021. All take levels 0..255 and nothing else. torchmetrics' CLIP-IQA through transformers divides
by the range and lets the processor divide by 255 once more: every picture is then nearly black.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.features.clip_texts import ClipTexts, text_embeddings, unit_length
from models.features.resizing import Picture, bicubic_levels
from models.features.vision_hub import HUB_MODELS, check_levels, load_hub, normalised, shifted

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_SPREAD = (0.26862954, 0.26130258, 0.27577711)
# "Quality" of the paper, as torchmetrics spells it; the score is the chance of the first.
QUALITY = ("Good photo.", "Bad photo.")
# CLIP's temperature, to which its logit scale was trained.
_SCALE = 100.0


class CmmdFeatures:
    """Pictures to CLIP's embeddings of length 1, looked at as CMMD's authors do."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def of_levels(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Embeddings (N, D) of pictures of levels."""
        return self.of_prepared([self.prepared(picture) for picture in pictures])

    def prepared(self, picture: Picture) -> Tensor:
        """A picture squeezed to a square by torch's bicubic without antialias."""
        check_levels([picture])
        side = self.model.config.image_size
        unit = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
        square = functional.interpolate(unit, (side, side), mode="bicubic")
        return shifted(square, CLIP_MEAN, CLIP_SPREAD)[0]

    @torch.inference_mode()
    def of_prepared(self, shown: Sequence[Tensor]) -> NDArray[np.float32]:
        """Embeddings of pictures that are prepared."""
        made = self.model(torch.stack(list(shown)).to(self.model.device)).image_embeds
        found: NDArray[np.float32] = unit_length(made).cpu().numpy()
        return found


class ClipIqa:
    """How likely CLIP finds the first of two texts for a picture."""

    def __init__(self, model: Any, tokenizer: Any, texts: Sequence[tuple[str, str]]) -> None:
        self.model = model
        flat = [text for pair in texts for text in pair]
        tokens = tokenizer(flat, padding=True, return_tensors="pt")
        with torch.inference_mode():
            pooled = model.text_model(
                input_ids=tokens["input_ids"].to(model.device),
                attention_mask=tokens["attention_mask"].to(model.device),
            ).pooler_output
            self.texts = unit_length(model.text_projection(pooled))

    def of_levels(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Scores (N, pairs) in 0..1 of pictures of levels."""
        return self.of_prepared([self.prepared(picture) for picture in pictures])

    def prepared(self, picture: Picture) -> Tensor:
        """The middle square of a picture whose shorter side is resized."""
        check_levels([picture])
        side = self.model.config.vision_config.image_size
        return normalised([_middle(picture, side)], CLIP_MEAN, CLIP_SPREAD)[0]

    @torch.inference_mode()
    def of_prepared(self, shown: Sequence[Tensor]) -> NDArray[np.float32]:
        """Scores of pictures that are prepared."""
        pixels = torch.stack(list(shown)).to(self.model.device)
        pooled = self.model.vision_model(pixels).pooler_output
        alike = _SCALE * unit_length(self.model.visual_projection(pooled)) @ self.texts.T
        pairs = alike.view(len(shown), -1, 2).softmax(-1)
        scores: NDArray[np.float32] = pairs[..., 0].cpu().numpy()
        return scores


class ClipScore:
    """How near a picture is to its prompt: 100 x the cosine of CLIP's embeddings, at least 0."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model
        self._texts = ClipTexts(tokenizer, model.config.text_config.max_position_embeddings)

    def prepared(self, picture: Picture) -> Tensor:
        """The middle square of a picture whose shorter side is resized."""
        check_levels([picture])
        side = self.model.config.vision_config.image_size
        return normalised([_middle(picture, side)], CLIP_MEAN, CLIP_SPREAD)[0]

    @torch.inference_mode()
    def of_prepared(self, shown: Sequence[Tensor], texts: Sequence[str]) -> NDArray[np.float64]:
        """Score, and whether the text was cut (N, 2), of pictures that are prepared."""
        read = [self._texts(text) for text in texts]
        cosines = cosines_of(self.model, shown, text_embeddings(self.model, read))
        return np.stack([np.maximum(100 * cosines, 0), [one.is_cut for one in read]], 1)


def cosines_of(model: Any, shown: Sequence[Tensor], texts: Tensor) -> NDArray[np.float64]:
    """The cosine of each prepared picture's embedding with that of its text, (N,)."""
    pooled = model.vision_model(torch.stack(list(shown)).to(model.device)).pooler_output
    alike = (unit_length(model.visual_projection(pooled)) * texts).sum(-1)
    cosines: NDArray[np.float64] = alike.double().cpu().numpy()
    return cosines


def load_cmmd(
    model: str = HUB_MODELS["cmmd"].model, revision: str | None = None, device: str = "cpu"
) -> CmmdFeatures:
    """The model in this folder, or in the hub's cache under this name."""
    return CmmdFeatures(load_hub("CLIPVisionModelWithProjection", model, revision).to(device))


def load_clip_iqa(
    model: str = HUB_MODELS["clip_iqa"].model,
    revision: str | None = None,
    device: str = "cpu",
    texts: Sequence[tuple[str, str]] = (QUALITY,),
) -> ClipIqa:
    """The same, with the pairs of texts that it decides between."""
    network = load_hub("CLIPModel", model, revision).to(device)
    return ClipIqa(network, load_hub("CLIPTokenizer", model, revision), texts)


def load_clip_score(
    model: str = HUB_MODELS["clip_score"].model, revision: str | None = None, device: str = "cpu"
) -> ClipScore:
    """The same, for pictures with prompts of their own."""
    network = load_hub("CLIPModel", model, revision).to(device)
    return ClipScore(network, load_hub("CLIPTokenizer", model, revision))


def _middle(picture: Picture, side: int) -> Picture:
    """The shorter side brought to `side` by Pillow's bicubic, then the middle square."""
    height, width = picture.shape[:2]
    least = min(height, width)
    # Whole pixels, cut off and not rounded, as there.
    resized = bicubic_levels(picture, int(height * side / least), int(width * side / least))
    top, left = (resized.shape[0] - side) // 2, (resized.shape[1] - side) // 2
    return resized[top : top + side, left : left + side]
