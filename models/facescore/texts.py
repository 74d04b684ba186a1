"""Texts as BERT's tokens: Face Score's own, and any other where there is a vocab.txt.

Tokens that only fill up to a length are left out: nothing attends to them, and only [CLS] is
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from models.facescore.network import Tokens
from schemas.facescore import FACE_PROMPT, MOST_TOKENS

VOCABULARY = "vocab.txt"
# [CLS] a face . [SEP] in bert-base-uncased, whose vocabulary no scorer's folder needs for them.
_FACE_IDS = (101, 1037, 2227, 1012, 102)


def face_tokens() -> Tokens:
    """The text that every face is scored with."""
    ids = torch.tensor([_FACE_IDS])
    return Tokens(ids, torch.ones_like(ids))


def tokens_of(texts: Sequence[str], folder: Path) -> Tokens:
    """Texts as tokens, at most 35 of each as in ImageReward; ValueError without vocab.txt."""
    if all(text == FACE_PROMPT for text in texts):
        return face_tokens().repeated(len(texts))
    told = _tokenizer(folder / VOCABULARY)(
        list(texts),
        padding="longest",
        truncation=True,
        max_length=MOST_TOKENS,
        return_tensors="pt",
    )
    return Tokens(told["input_ids"], told["attention_mask"])


def are_cut(texts: Sequence[str], folder: Path) -> list[bool]:
    """Of which texts only the first 35 tokens are read; ValueError without vocab.txt."""
    told = _tokenizer(folder / VOCABULARY)(list(texts), truncation=False, padding=False)
    return [len(ids) > MOST_TOKENS for ids in told["input_ids"]]


@cache
def _tokenizer(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(
            f"{path}: is missing, and another text than {FACE_PROMPT!r} needs it; put the "
            "vocabulary of bert-base-uncased there"
        )
    from transformers import BertTokenizer

    words = path.read_text(encoding="utf-8").split("\n")
    vocabulary = {word: number for number, word in enumerate(words) if word}
    return BertTokenizer(vocab=vocabulary, do_lower_case=True)
