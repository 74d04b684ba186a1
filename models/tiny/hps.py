"""HPS v2.1 in miniature, in exactly the file that its authors publish, with CLIP's vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from models.tiny.texts import CLIP_LENGTH, clip_tokenizer, write_as_published
from models.tiny.weights import seeded

# Two heads each: of 80 features among patches and of 64 among tokens, as in every ViT-H/14.
_VISION, _TEXT = 160, 128
_LAYERS, _PROJECTED, _PATCH_PX, _PLACES = 2, 24, 8, 1 + 4 * 4


def write_hps(folder: Path) -> None:
    """Write HPS_v2.1_compressed.pt, vocab.json and merges.txt into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = clip_tokenizer()
    with seeded(121):
        weights = dict(_tensors(len(tokenizer)))
    torch.save({"state_dict": weights}, folder / "HPS_v2.1_compressed.pt")
    tokenizer.save_pretrained(folder)
    write_as_published(folder / "tokenizer.json")
    (folder / "tokenizer_config.json").unlink()


def _tensors(num_words: int) -> Iterator[tuple[str, Tensor]]:
    """Of a spread by which every part shows in the score, under OpenCLIP's names."""
    yield "positional_embedding", 0.5 * torch.randn(CLIP_LENGTH, _TEXT)
    yield "text_projection", torch.randn(_TEXT, _PROJECTED) / _TEXT**0.5
    yield "logit_scale", torch.tensor(4.6052)
    yield "visual.class_embedding", torch.randn(_VISION)
    yield "visual.positional_embedding", 0.5 * torch.randn(_PLACES, _VISION)
    yield "visual.proj", torch.randn(_VISION, _PROJECTED) / _VISION**0.5
    yield "visual.conv1.weight", torch.randn(_VISION, 3, _PATCH_PX, _PATCH_PX) / _PATCH_PX
    yield from _norm("visual.ln_pre", _VISION)
    yield from _blocks("visual.transformer", _VISION)
    yield from _norm("visual.ln_post", _VISION)
    yield from _blocks("transformer", _TEXT)
    yield "token_embedding.weight", torch.randn(num_words, _TEXT)
    yield from _norm("ln_final", _TEXT)


def _blocks(room: str, width: int) -> Iterator[tuple[str, Tensor]]:
    for number in range(_LAYERS):
        block = f"{room}.resblocks.{number}"
        yield from _norm(f"{block}.ln_1", width)
        yield f"{block}.attn.in_proj_weight", torch.randn(3 * width, width) / width**0.5
        yield f"{block}.attn.in_proj_bias", 0.1 * torch.randn(3 * width)
        yield from _linear(f"{block}.attn.out_proj", width, width)
        yield from _norm(f"{block}.ln_2", width)
        # Published four times as wide.
        yield from _linear(f"{block}.mlp.c_fc", width, width)
        yield from _linear(f"{block}.mlp.c_proj", width, width)


def _linear(name: str, width: int, wanted: int) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", torch.randn(wanted, width) / width**0.5
    yield f"{name}.bias", 0.1 * torch.randn(wanted)


def _norm(name: str, width: int) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", 1 + 0.1 * torch.randn(width)
    yield f"{name}.bias", 0.1 * torch.randn(width)
