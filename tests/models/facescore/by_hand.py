"""Face Score computed a second time, in float64 straight from the published names of its tensors.

Shares no code with models/facescore: what the papers of ViT, BERT and BLIP say, in plain tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

HEAD = 64
TEXT_HEADS = 4
# [CLS] a face . [SEP], and as many [PAD] as make 35.
IDS = [101, 1037, 2227, 1012, 102] + [0] * 30


def score(weights: Mapping[str, Tensor], pixels: Tensor, ids: list[int] | None = None) -> Tensor:
    told = {name: one.double() for name, one in weights.items()}
    patches = vision(told, pixels.double())
    states = text(told, patches, IDS if ids is None else ids)
    value = states[:, 0]  # pooled: what stands at [CLS], without BERT's own pooler
    for layer in (0, 2, 4, 6, 7):  # dropouts lie between
        value = linear(told, f"mlp.layers.{layer}", value)
    return value[:, 0]


def vision(told: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    name = "blip.visual_encoder."
    kernel = told[f"{name}patch_embed.proj.weight"]
    side = kernel.shape[-1]
    rows = pixels.unfold(2, side, side).unfold(3, side, side)  # N, 3, down, right, side, side
    rows = rows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    states = rows @ kernel.flatten(1).T + told[f"{name}patch_embed.proj.bias"]
    first = told[f"{name}cls_token"].expand(len(states), -1, -1)
    states = torch.cat([first, states], 1) + told[f"{name}pos_embed"]
    number = 0
    while f"{name}blocks.{number}.norm1.weight" in told:
        block = f"{name}blocks.{number}."
        query, key, value = linear(
            told, f"{block}attn.qkv", norm(told, f"{block}norm1", states, 1e-6)
        ).chunk(3, -1)
        mixed = attention(query, key, value, states.shape[-1] // HEAD)
        states = states + linear(told, f"{block}attn.proj", mixed)
        inner = linear(told, f"{block}mlp.fc1", norm(told, f"{block}norm2", states, 1e-6))
        states = states + linear(told, f"{block}mlp.fc2", gelu(inner))
        number += 1
    return norm(told, f"{name}norm", states, 1e-6)


def text(told: Mapping[str, Tensor], patches: Tensor, ids: list[int]) -> Tensor:
    name = "blip.text_encoder."
    words = told[f"{name}embeddings.word_embeddings.weight"][ids]
    places = told[f"{name}embeddings.position_embeddings.weight"][: len(ids)]
    states = norm(told, f"{name}embeddings.LayerNorm", words + places, 1e-12)
    states = states.expand(len(patches), -1, -1)
    hidden = torch.tensor([one == 0 for one in ids])
    number = 0
    while f"{name}encoder.layer.{number}.output.dense.weight" in told:
        layer = f"{name}encoder.layer.{number}."
        states = attended(told, f"{layer}attention.", states, states, hidden)
        states = attended(told, f"{layer}crossattention.", states, patches, None)
        inner = gelu(linear(told, f"{layer}intermediate.dense", states))
        outer = linear(told, f"{layer}output.dense", inner)
        states = norm(told, f"{layer}output.LayerNorm", outer + states, 1e-12)
        number += 1
    return states


def attended(
    told: Mapping[str, Tensor], name: str, states: Tensor, seen: Tensor, hidden: Tensor | None
) -> Tensor:
    mixed = attention(
        linear(told, f"{name}self.query", states),
        linear(told, f"{name}self.key", seen),
        linear(told, f"{name}self.value", seen),
        TEXT_HEADS,
        hidden,
    )
    out = linear(told, f"{name}output.dense", mixed)
    return norm(told, f"{name}output.LayerNorm", out + states, 1e-12)


def attention(
    query: Tensor, key: Tensor, value: Tensor, heads: int, hidden: Tensor | None = None
) -> Tensor:
    width = query.shape[-1] // heads
    parts = []
    for head in range(heads):
        mine = slice(head * width, (head + 1) * width)
        weights = query[..., mine] @ key[..., mine].transpose(1, 2) / math.sqrt(width)
        if hidden is not None:
            weights = weights.masked_fill(hidden, -math.inf)
        parts.append(torch.softmax(weights, -1) @ value[..., mine])
    return torch.cat(parts, -1)


def linear(told: Mapping[str, Tensor], name: str, states: Tensor) -> Tensor:
    return states @ told[f"{name}.weight"].T + told[f"{name}.bias"]


def norm(told: Mapping[str, Tensor], name: str, states: Tensor, eps: float) -> Tensor:
    centred = states - states.mean(-1, keepdim=True)
    spread = torch.sqrt((centred**2).mean(-1, keepdim=True) + eps)
    return centred / spread * told[f"{name}.weight"] + told[f"{name}.bias"]


def gelu(states: Tensor) -> Tensor:
    return states * 0.5 * (1 + torch.erf(states / math.sqrt(2)))
