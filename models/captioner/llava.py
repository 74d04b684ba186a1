"""LLaVA 1.5 through transformers: pictures and prompts to texts, in batches, greedily.

Reads a folder, or the hub's cache, and never goes online. Batches are padded on the left: padded on
the right a decoder would go on after the padding, and say something else than alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from models.checksums import sha256_of
from models.quiet import quiet
from schemas.caption import Device, NumberFormat

Levels = NDArray[np.uint8]
PUBLISHED = "llava-hf/llava-1.5-7b-hf"
MEND = "get it with: relume fetch --captions"
TEXTS = (
    *("config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json"),
    *("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "added_tokens.json"),
    *("special_tokens_map.json", "model.safetensors.index.json"),
)
_COMPUTED = (".position_ids", ".inv_freq")
_NEEDED = ("config.json", "preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, slots=True)
class Said:
    """What a captioner said of a picture."""

    text: str
    num_tokens: int
    cut: bool
    """whether it had not come to an end"""


class Captioner:
    """A LLaVA model with its processor."""

    def __init__(self, model: Any, processor: Any, device: Device) -> None:
        self.model, self.processor, self.device = model, processor, device
        processor.tokenizer.padding_side = "left"

    @torch.inference_mode()
    def __call__(
        self, pictures: Sequence[Levels], prompts: Sequence[str], max_new_tokens: int
    ) -> list[Said]:
        """What it says of each picture (height, width, 3) when asked by its prompt."""
        given = self.processor(
            images=[Image.fromarray(one) for one in pictures],
            text=list(prompts),
            padding=True,
            return_tensors="pt",
        ).to(self.device, self.model.dtype)
        made = self.model.generate(
            **given, do_sample=False, num_beams=1, max_new_tokens=max_new_tokens
        )
        new = made[:, given["input_ids"].shape[1] :].cpu()
        texts = self.processor.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [self._said(text, tokens) for text, tokens in zip(texts, new, strict=True)]

    def _said(self, text: str, tokens: torch.Tensor) -> Said:
        ends = self.model.generation_config.eos_token_id
        ended = torch.isin(tokens, torch.tensor(ends)).nonzero()
        count = int(ended[0]) if len(ended) else len(tokens)
        return Said(text, count, cut=not len(ended))


def captioner_folder(model: str, revision: str) -> Path:
    """The folder of a model that is here; ValueError where it is missing."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, "config.json", revision=revision)
    except HFValidationError:
        found = None
    if not isinstance(found, str):
        raise ValueError(f"{model}: is no folder, nor in {HF_HUB_CACHE}; {MEND}")
    return Path(found).parent


def captioner_files(folder: Path) -> Mapping[str, str]:
    """The sha256 of every file that is read; ValueError where one is missing."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ValueError(f"{folder}: has no weights in safetensors; {MEND}")
    for name in _NEEDED:
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: lacks {name}; {MEND}")
    files = [*weights, *(folder / name for name in TEXTS if (folder / name).is_file())]
    return {path.name: digits for path, digits in sha256_of(files).items()}


def load_captioner(folder: Path, device: Device, dtype: NumberFormat) -> Captioner:
    """The model of a folder; ValueError where its weights are not all those of a LLaVA 1.5."""
    quiet()
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    # from_pretrained tells of missing tensors in a log, and fills them with noise.
    try:
        model, told = LlavaForConditionalGeneration.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{folder}: cannot be loaded: {why}; {MEND}") from None
    for key in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        # Older checkpoints hold tables that are computed today.
        wrong = sorted(one for one in map(str, told[key]) if not one.endswith(_COMPUTED))
        if wrong:
            word = key.partition("_")[0]
            raise ValueError(
                f"{folder}: {word} tensor {wrong[0]!r}, and {len(wrong) - 1} more: these are no "
                f"weights of a LLaVA 1.5; {MEND}"
            )
    if not getattr(processor, "patch_size", None):
        # Without it nobody knows how many tokens stand for a picture; older snapshots lack it.
        raise ValueError(f"{folder}: processor_config.json has no patch_size; {MEND}")
    model.generation_config.eos_token_id = _end(model, processor)
    return Captioner(model.eval().requires_grad_(False).to(device), processor, device)


def _end(model: Any, processor: Any) -> int | list[int]:
    """The tokens that end a text, which some folders tell of the tokenizer alone."""
    told: int | list[int] | None = model.generation_config.eos_token_id
    return processor.tokenizer.eos_token_id if told is None else told
