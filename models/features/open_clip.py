"""OpenCLIP's files as transformers' CLIPModel: every tensor under its name there, or refused.

Sizes are told by the tensors, but for the width of a head, which no tensor tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_NAMES = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "visual.proj": "visual_projection.weight",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
    "logit_scale": "logit_scale",
}
# Written as (in, out), which transformers writes as (out, in).
_TURNED = ("visual.proj", "text_projection")
_OF_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
# Query, key and value lie in one tensor.
_THREE = "attn.in_proj_"
_BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)")


def clip_model(told: Mapping[str, Tensor], path: Path, *, vision_head: int, text_head: int) -> Any:
    """The CLIPModel that the tensors of a file are, in float32 and for evaluation.

    `vision_head` and `text_head` are how many features a head of attention has. A ValueError names
    the first tensor that is missing, unknown or of another size.
    """
    config = _config(told, path, vision_head, text_head)
    _refuse_other_names(told, path, config)
    from transformers import CLIPModel

    # Room for the weights is not filled with noise first.
    with torch.device("meta"):
        model = CLIPModel(config)
    weights: dict[str, Tensor] = {}
    wanted = model.state_dict()
    for name, tensor in told.items():
        for ours, part in _converted(name, tensor.float()):
            if part.shape != wanted[ours].shape:
                raise ValueError(
                    f"{path}: {name} is of {tuple(tensor.shape)}, which does not fit the others; "
                    "use the file as its publisher wrote it"
                )
            weights[ours] = part
    model.load_state_dict(weights, assign=True)
    for part in (model.vision_model, model.text_model):
        places = part.embeddings.position_ids.shape[-1]
        part.embeddings.position_ids = torch.arange(places)[None]
    return model.eval().requires_grad_(False)


def _converted(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """What a published tensor is called in transformers, and in which shape."""
    if name in _NAMES:
        yield _NAMES[name], tensor.T.contiguous() if name in _TURNED else tensor
        return
    found = _BLOCK.fullmatch(name)
    assert found is not None
    layer = f"{'vision' if found[1] else 'text'}_model.encoder.layers.{found[2]}."
    if found[3].startswith(_THREE):
        end = found[3].removeprefix(_THREE)
        for letter, part in zip("qkv", tensor.chunk(3), strict=True):
            yield f"{layer}self_attn.{letter}_proj.{end}", part
        return
    kind, _, end = found[3].rpartition(".")
    yield f"{layer}{_OF_BLOCK[kind]}.{end}", tensor


def _refuse_other_names(told: Mapping[str, Tensor], path: Path, config: Any) -> None:
    wanted = dict.fromkeys(_NAMES)
    for room, layers in (
        ("visual.", config.vision_config.num_hidden_layers),
        ("", config.text_config.num_hidden_layers),
    ):
        for number in range(layers):
            block = f"{room}transformer.resblocks.{number}."
            kinds = (f"{kind}." for kind in _OF_BLOCK)
            wanted |= {
                f"{block}{kind}{end}": None
                for kind in (_THREE, *kinds)
                for end in ("weight", "bias")
            }
    lacking = [name for name in wanted if name not in told]
    more = [name for name in told if name not in wanted]
    if lacking or more:
        parts = [f"{len(lacking)} missing, the first {lacking[0]}"] if lacking else []
        parts += [f"{len(more)} unknown, the first {more[0]}"] if more else []
        raise ValueError(
            f"{path}: tensors are not those of an OpenCLIP transformer: {'; '.join(parts)}; "
            "use the file as its publisher wrote it"
        )


def _config(told: Mapping[str, Tensor], path: Path, vision_head: int, text_head: int) -> Any:
    def sizes(name: str, dimensions: int) -> torch.Size:
        tensor = told.get(name)
        if tensor is None or tensor.dim() != dimensions:
            what = "is missing" if tensor is None else f"is of {tuple(tensor.shape)}"
            raise ValueError(
                f"{path}: {name} {what}, so this is no file of an OpenCLIP transformer; "
                "use the file as its publisher wrote it"
            )
        return tensor.shape

    width, _, _, patch_px = sizes("visual.conv1.weight", 4)
    places = sizes("visual.positional_embedding", 2)[0]
    words, text_width = sizes("token_embedding.weight", 2)
    inner = sizes("visual.transformer.resblocks.0.mlp.c_fc.weight", 2)[0]
    text_inner = sizes("transformer.resblocks.0.mlp.c_fc.weight", 2)[0]
    projected = sizes("visual.proj", 2)[1]
    for name, wide, head in (("visual.", width, vision_head), ("", text_width, text_head)):
        if wide % head:
            raise ValueError(
                f"{path}: {name}transformer has {wide} features, which are no whole heads of "
                f"{head}; this is another network"
            )
    from transformers import CLIPConfig

    return CLIPConfig(
        vision_config={
            "hidden_size": width,
            "intermediate_size": inner,
            "num_hidden_layers": _layers(told, "visual."),
            "num_attention_heads": width // vision_head,
            "image_size": round((places - 1) ** 0.5) * patch_px,
            "patch_size": patch_px,
            # OpenAI's networks have QuickGELU, OpenCLIP's own the exact one.
            "hidden_act": "gelu",
            "projection_dim": projected,
        },
        text_config={
            "hidden_size": text_width,
            "intermediate_size": text_inner,
            "num_hidden_layers": _layers(told, None),
            "num_attention_heads": text_width // text_head,
            "max_position_embeddings": sizes("positional_embedding", 2)[0],
            "vocab_size": words,
            "hidden_act": "gelu",
            "projection_dim": projected,
        },
        projection_dim=projected,
    )


def _layers(told: Mapping[str, Tensor], room: str | None) -> int:
    found = (_BLOCK.fullmatch(name) for name in told)
    return 1 + max(int(one[2]) for one in found if one and one[1] == room)
