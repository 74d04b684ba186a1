"""CLIP's embeddings of pictures, for CMMD; and CLIP-IQA (Wang et al. 2023), by two short texts.

Both take levels 0..255 and nothing else. torchmetrics' CLIP-IQA through transformers divides by the
range and lets the processor divide by 255 once more: every picture is then nearly black.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.features.resizing import Picture, bicubic_levels
from models.features.vision_hub import HUB_MODELS, check_levels, load_hub, normalised, shifted

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_SPREAD = (0.26862954, 0.26130258, 0.27577711)
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
        return shifted(square, _MEAN, _SPREAD)[0]

    @torch.inference_mode()
    def of_prepared(self, shown: Sequence[Tensor]) -> NDArray[np.float32]:
        """Embeddings of pictures that are prepared."""
        made = self.model(torch.stack(list(shown)).to(self.model.device)).image_embeds
        found: NDArray[np.float32] = _unit(made).cpu().numpy()
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
            self.texts = _unit(model.text_projection(pooled))

    def of_levels(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        """Scores (N, pairs) in 0..1 of pictures of levels."""
        return self.of_prepared([self.prepared(picture) for picture in pictures])

    def prepared(self, picture: Picture) -> Tensor:
        """The middle square of a picture whose shorter side is resized."""
        check_levels([picture])
        side = self.model.config.vision_config.image_size
        return normalised([_middle(picture, side)], _MEAN, _SPREAD)[0]

    @torch.inference_mode()
    def of_prepared(self, shown: Sequence[Tensor]) -> NDArray[np.float32]:
        """Scores of pictures that are prepared."""
        pixels = torch.stack(list(shown)).to(self.model.device)
        pooled = self.model.vision_model(pixels).pooler_output
        alike = _SCALE * _unit(self.model.visual_projection(pooled)) @ self.texts.T
        pairs = alike.view(len(shown), -1, 2).softmax(-1)
        scores: NDArray[np.float32] = pairs[..., 0].cpu().numpy()
        return scores


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


def _unit(embeddings: Tensor) -> Tensor:
    floats = embeddings.float()
    made: Tensor = floats / floats.norm(dim=-1, keepdim=True)
    return made


def _middle(picture: Picture, side: int) -> Picture:
    """The shorter side brought to `side` by Pillow's bicubic, then the middle square."""
    height, width = picture.shape[:2]
    least = min(height, width)
    # Whole pixels, cut off and not rounded, as there.
    resized = bicubic_levels(picture, int(height * side / least), int(width * side / least))
    top, left = (resized.shape[0] - side) // 2, (resized.shape[1] - side) // 2
    return resized[top : top + side, left : left + side]
