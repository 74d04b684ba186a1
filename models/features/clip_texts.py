"""Texts as CLIP's text transformer takes them, OpenAI's and OpenCLIP's, and their embeddings.

The transformer is causal and a text is read at its end token, whose number is the largest: what
fills a row up after it changes nothing, whichever token that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True, slots=True)
class ClipText:
    """The tokens of a text, with those that begin and end it, and whether some were cut off."""

    ids: Tensor
    is_cut: bool


class ClipTexts:
    """Makes texts into tokens, at most so many of each, the end token among them."""

    def __init__(self, tokenizer: Any, most_tokens: int) -> None:
        self._tokenizer, self._most = tokenizer, most_tokens

    def __call__(self, text: str) -> ClipText:
        """The tokens of a text."""
        ids = self._tokenizer(text, truncation=False, padding=False)["input_ids"]
        is_cut = len(ids) > self._most
        # As the authors cut: without an end token another place would be read.
        kept = [*ids[: self._most - 1], ids[-1]] if is_cut else ids
        return ClipText(torch.tensor(kept), is_cut)


def text_embeddings(model: Any, texts: Sequence[ClipText]) -> Tensor:
    """Embeddings (N, D) of length 1 by a CLIPModel."""
    ids = pad_sequence([one.ids for one in texts], batch_first=True).to(model.device)
    states = model.text_model(input_ids=ids).last_hidden_state
    ends = states[torch.arange(len(ids), device=ids.device), ids.argmax(-1)]
    return unit_length(model.text_projection(ends))


def unit_length(embeddings: Tensor) -> Tensor:
    """Embeddings in float32 and of length 1."""
    floats = embeddings.float()
    made: Tensor = floats / floats.norm(dim=-1, keepdim=True)
    return made
