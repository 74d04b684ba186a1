"""Tokenizers and text encoders in miniature: CLIP's byte pairs and T5's unigrams, built offline."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from models.tiny.weights import seeded

CLIP_LENGTH = 77
# Two words that every portrait prompt has, so that merges and whole-word pieces are used.
_WORDS = ("portrait", "professional")
_T5_WORD = "\u2581"


def clip_tokenizer() -> Any:
    """A CLIP tokenizer that knows every byte, and joins the first letters of a few words."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    alphabet = list(bytes_to_unicode().values())
    merges: list[tuple[str, str]] = []
    pieces: list[str] = []
    for word in _WORDS:
        left = word[0]
        for letter in [*word[1:-1], f"{word[-1]}</w>"]:
            if (left, letter) not in merges:
                merges.append((left, letter))
                pieces.append(left + letter)
            left += letter
    words = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *pieces]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=CLIP_LENGTH)


def write_as_published(tokenizer: Path) -> None:
    """Turn CLIP's tokenizer.json into the vocab.json and merges.txt that checkpoints ship."""
    model = json.loads(tokenizer.read_text())["model"]
    if model["type"] != "BPE":
        return
    tokenizer.with_name("vocab.json").write_text(json.dumps(model["vocab"]))
    merges = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    tokenizer.with_name("merges.txt").write_text("\n".join(merges) + "\n")
    tokenizer.unlink()


def t5_tokenizer() -> Any:
    """A T5 tokenizer of single letters and a few words; other letters are unknown to it."""
    from transformers import T5Tokenizer

    letters = string.ascii_letters + string.digits + string.punctuation
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), (_T5_WORD, -2.0)]
    pieces += [(letter, -4.0) for letter in letters]
    pieces += [(_T5_WORD + word, -3.0) for word in _WORDS]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def clip_text_encoder(seed: int, width: int = 32, projected: bool = False) -> Any:
    """A CLIP text encoder for that tokenizer, with a projection where SD 3 wants one."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(clip_tokenizer()),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CLIP_LENGTH,
        projection_dim=width,
        # As in the published configs: the pooled output is then taken at the largest token.
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    with seeded(seed):
        return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def t5_encoder(seed: int, width: int = 32) -> Any:
    """A T5 encoder for that tokenizer."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=len(t5_tokenizer()),
        d_model=width,
        d_kv=8,
        d_ff=2 * width,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        use_cache=False,
    )
    with seeded(seed):
        return T5EncoderModel(config).eval()
