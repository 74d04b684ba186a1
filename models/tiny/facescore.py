"""Face Score and ImageReward in miniature, in exactly the files that their authors publish."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_lowercase, digits

import torch

from models.tiny.weights import seeded
from schemas.facescore import ScorerShape

# Two heads of vision, as a head has 64 features in every BLIP; "face" is token 2227.
TINY = ScorerShape(
    image_px=32,
    patch_px=8,
    vision_width=128,
    vision_layers=3,
    vision_heads=2,
    vision_inner=128,
    text_width=32,
    text_layers=4,
    text_heads=4,
    text_inner=64,
    vocabulary=2304,
    positions=64,
)
# BLIP's projections for another task, which lie in the files all the same.
_PROJECTED = 16


def write_facescore(folder: Path, shape: ScorerShape = TINY) -> None:
    """Write FS_model.pt and med_config.json into a folder."""
    _write(folder, "FS_model.pt", shape, seed=111)


def write_imagereward(folder: Path, shape: ScorerShape = TINY) -> None:
    """Write ImageReward.pt, med_config.json and BERT's vocab.txt into a folder."""
    _write(folder, "ImageReward.pt", shape, seed=112)
    (folder / "vocab.txt").write_text("\n".join(_vocabulary(shape)) + "\n")


def _vocabulary(shape: ScorerShape) -> list[str]:
    """Tokens in a line each: BERT's own places for those that matter, then letters and digits."""
    words = [f"[unused{number}]" for number in range(shape.vocabulary)]
    named = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    named |= {1012: ".", 1037: "a", 2227: "face", 1997: "of", 1999: "portrait"}
    pieces = [f"{start}{one}" for start in ("##", "") for one in (ascii_lowercase + digits)]
    pieces.remove("a")
    for number, word in [*named.items(), *enumerate(pieces, 200)]:
        words[number] = word
    return words


def _write(folder: Path, name: str, shape: ScorerShape, seed: int) -> None:
    from models.facescore.network import build_scorer
    from models.facescore.published import published_name

    with seeded(seed):
        network = build_scorer(shape)
        for parameter in network.parameters():
            # Of a size by which every part shows in the score.
            spread = 0.1 if parameter.dim() < 2 else parameter[0].numel() ** -0.5
            parameter.data.add_(torch.randn_like(parameter) * spread)
        found = {published_name(key): one.clone() for key, one in network.state_dict().items()}
        for side, width in (("vision", shape.vision_width), ("text", shape.text_width)):
            found[f"blip.{side}_proj.weight"] = torch.randn(_PROJECTED, width)
            found[f"blip.{side}_proj.bias"] = torch.randn(_PROJECTED)
    places = torch.arange(shape.positions)[None]
    found["blip.text_encoder.embeddings.position_ids"] = places
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(found, folder / name)
    (folder / "med_config.json").write_text(json.dumps(_med_config(shape), indent=2))


def _med_config(shape: ScorerShape) -> dict[str, object]:
    """As published, where encoder_width is BLIP base's whatever the vision transformer is."""
    return {
        "architectures": ["BertModel"],
        "attention_probs_dropout_prob": shape.text_dropout,
        "hidden_act": "gelu",
        "hidden_dropout_prob": shape.text_dropout,
        "hidden_size": shape.text_width,
        "initializer_range": 0.02,
        "intermediate_size": shape.text_inner,
        "layer_norm_eps": shape.text_norm_eps,
        "max_position_embeddings": shape.positions,
        "model_type": "bert",
        "num_attention_heads": shape.text_heads,
        "num_hidden_layers": shape.text_layers,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": shape.vocabulary,
        "encoder_width": 768,
        "add_cross_attention": True,
    }
