"""HPS computed a second time, in float64 straight from the published names of its tensors.

Shares no code with models/features: what the papers of ViT, GPT-2 and CLIP say, in plain tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

VISION_HEAD, TEXT_HEAD, NORM = 80, 64, 1e-5


def score(weights: Mapping[str, Tensor], pixels: Tensor, ids: list[list[int]]) -> Tensor:
    """100 x the cosine of each picture with its own text."""
    told = {name: one.double() for name, one in weights.items()}
    seen = unit(vision(told, pixels.double()))
    read = unit(torch.stack([text(told, one) for one in ids]))
    return 100 * (seen * read).sum(-1)


def vision(told: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    kernel = told["visual.conv1.weight"]
    side = kernel.shape[-1]
    rows = pixels.unfold(2, side, side).unfold(3, side, side)  # N, 3, down, right, side, side
    rows = rows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    first = told["visual.class_embedding"].expand(len(rows), 1, -1)
    states = torch.cat([first, rows @ kernel.flatten(1).T], 1)
    states = norm(told, "visual.ln_pre", states + told["visual.positional_embedding"])
    states = blocks(told, "visual.transformer", states, VISION_HEAD, causal=False)
    return norm(told, "visual.ln_post", states[:, 0]) @ told["visual.proj"]


def text(told: Mapping[str, Tensor], ids: list[int]) -> Tensor:
    """Of one text, filled up with zeros to all places, as OpenCLIP's tokenizer does it."""
    places = told["positional_embedding"]
    filled = ids + [0] * (len(places) - len(ids))
    states = (told["token_embedding.weight"][filled] + places)[None]
    states = blocks(told, "transformer", states, TEXT_HEAD, causal=True)
    end = max(range(len(filled)), key=lambda place: filled[place])
    return norm(told, "ln_final", states[0, end]) @ told["text_projection"]


def blocks(
    told: Mapping[str, Tensor], room: str, states: Tensor, head: int, *, causal: bool
) -> Tensor:
    number = 0
    while (block := f"{room}.resblocks.{number}.") + "ln_1.weight" in told:
        inside = norm(told, f"{block}ln_1", states)
        three = inside @ told[f"{block}attn.in_proj_weight"].T + told[f"{block}attn.in_proj_bias"]
        mixed = attention(*three.chunk(3, -1), head, causal=causal)
        states = states + linear(told, f"{block}attn.out_proj", mixed)
        inner = linear(told, f"{block}mlp.c_fc", norm(told, f"{block}ln_2", states))
        states = states + linear(told, f"{block}mlp.c_proj", gelu(inner))
        number += 1
    return states


def attention(query: Tensor, key: Tensor, value: Tensor, head: int, *, causal: bool) -> Tensor:
    parts = []
    for start in range(0, query.shape[-1], head):
        mine = slice(start, start + head)
        weights = query[..., mine] @ key[..., mine].transpose(1, 2) / math.sqrt(head)
        if causal:
            later = torch.ones(weights.shape[-2:], dtype=torch.bool).triu(1)
            weights = weights.masked_fill(later, -math.inf)
        parts.append(torch.softmax(weights, -1) @ value[..., mine])
    return torch.cat(parts, -1)


def linear(told: Mapping[str, Tensor], name: str, states: Tensor) -> Tensor:
    return states @ told[f"{name}.weight"].T + told[f"{name}.bias"]


def norm(told: Mapping[str, Tensor], name: str, states: Tensor) -> Tensor:
    centred = states - states.mean(-1, keepdim=True)
    spread = torch.sqrt((centred**2).mean(-1, keepdim=True) + NORM)
    return centred / spread * told[f"{name}.weight"] + told[f"{name}.bias"]


def gelu(states: Tensor) -> Tensor:
    return states * 0.5 * (1 + torch.erf(states / math.sqrt(2)))


def unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True)
