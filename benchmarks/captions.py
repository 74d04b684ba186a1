"""Captions per second in batches, against the same model asked about one picture after the other.

python -m benchmarks.captions
python -m benchmarks.captions --shape 7b --device cuda --dtype float16   # on a GPU

Both use one loaded model through the same class on the same pictures, greedily, with the question
of the default template; the texts are compared. Without weights the model is random, of a tiny or
of LLaVA 1.5's own shape: it says nonsense, at the speed of the real one. So that both do the same
work, nothing ends a caption before its last token.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.timing import judge, medians, say_machine
from models.captioner.llava import Captioner, Said, load_captioner
from models.captioner.templates import QUESTIONS, prompt_of
from models.generators.procedural.painter import paint_source
from models.generators.procedural.people import draw_people
from models.quiet import quiet
from models.tiny.weights import seeded
from models.tiny.write import write
from schemas.caption import Device, NumberFormat

TARGET = 3.0
Levels = NDArray[np.uint8]
# LLaVA 1.5 7B: CLIP ViT-L/14 at 336 px, and Vicuna 7B.
_VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 336,
    "patch_size": 14,
    "projection_dim": 768,
}
_TEXT = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
}


def captioner_of(shape: str, device: Device, dtype: NumberFormat) -> Captioner:
    """A loaded captioner of this shape."""
    with tempfile.TemporaryDirectory() as work:
        tiny = load_captioner(write("llava", Path(work) / "llava"), device, dtype)
    if shape == "tiny":
        return tiny
    return _full_size(tiny, device, dtype)


def _full_size(tiny: Captioner, device: Device, dtype: NumberFormat) -> Captioner:
    """LLaVA 1.5's shape with random weights, made where it runs; tokenizer of the tiny one."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    small = tiny.model.config
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_VISION).to_dict(),
        text_config=LlamaConfig(vocab_size=32064, **_TEXT).to_dict(),
        image_token_index=small.image_token_index,
        pad_token_id=small.pad_token_id,
    )
    with seeded(1), torch.device(device):
        before = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, dtype))
        try:
            model = LlavaForConditionalGeneration(config).eval().requires_grad_(False)
        finally:
            torch.set_default_dtype(before)
    model.generation_config = tiny.model.generation_config
    shown: Any = tiny.processor.image_processor
    side = _VISION["image_size"]
    shown.size, shown.crop_size = {"shortest_edge": side}, {"height": side, "width": side}
    return Captioner(model, tiny.processor, device)


def captions(
    captioner: Captioner, pictures: list[Levels], batch_size: int, tokens: int
) -> list[Said]:
    """What is said of all of them."""
    prompt = prompt_of(QUESTIONS["portrait-1"])
    said: list[Said] = []
    for start in range(0, len(pictures), batch_size):
        batch = pictures[start : start + batch_size]
        said += captioner(batch, [prompt] * len(batch), tokens)
    return said


def main() -> int:
    """Measure, and say whether the target is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=("tiny", "7b"), default="tiny")
    parser.add_argument("--device", choices=get_args(Device), default="cpu")
    parser.add_argument("--dtype", choices=get_args(NumberFormat), default="float32")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    told = parser.parse_args()
    quiet()
    torch.set_num_threads(told.threads)
    say_machine()
    print(f"load average {os.getloadavg()[0]:.1f} at the start")
    captioner = captioner_of(told.shape, told.device, told.dtype)
    # Both say all of their tokens.
    captioner.model.generation_config.min_new_tokens = told.tokens
    people = draw_people(["A portrait"] * told.pictures, range(told.pictures))
    pictures = list(paint_source(people, 128))
    seconds = medians(
        {
            "one by one": lambda: captions(captioner, pictures, 1, told.tokens),
            "batched": lambda: captions(captioner, pictures, told.batch_size, told.tokens),
        },
        told.runs,
    )
    for name, spent in seconds.items():
        print(f"{name}: {told.pictures / spent:.2f} captions a second")
    alone = captions(captioner, pictures, 1, told.tokens)
    same = captions(captioner, pictures, told.batch_size, told.tokens)
    equal = sum(one.text == other.text for one, other in zip(alone, same, strict=True))
    print(f"{equal} of {told.pictures} captions are the same texts, {told.dtype}")
    what = f"{told.shape}, {told.tokens} tokens, batches of {told.batch_size}, {told.device}"
    reached = judge(
        f"batched / one by one ({what})", seconds["one by one"] / seconds["batched"], TARGET
    )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
