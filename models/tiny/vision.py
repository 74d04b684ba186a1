"""DINOv2 and CLIP in miniature, as transformers' folders with the files that the hub publishes."""

from __future__ import annotations

import json
from pathlib import Path

from models.tiny.texts import CLIP_LENGTH, clip_tokenizer, write_as_published
from models.tiny.weights import seeded


def write_dinov2(folder: Path) -> None:
    """Write the model into a folder."""
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=70,
        patch_size=14,
        # Of 1 the tiny layers would hardly change what the patches say.
        layerscale_value=1.0,
    )
    with seeded(61):
        Dinov2Model(config).save_pretrained(folder)


def write_dino(folder: Path) -> None:
    """Write DINO's ViT into a folder, without the pooler that the published ones lack too."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        # Of 0.02, the usual spread, the tiny layers would hardly tell two pictures apart.
        initializer_range=0.2,
    )
    with seeded(62):
        ViTModel(config, add_pooling_layer=False).save_pretrained(folder)


def write_clip(folder: Path) -> None:
    """Write model and tokenizer into a folder."""
    from transformers import CLIPConfig, CLIPModel

    tokenizer = clip_tokenizer()
    # A model of pictures alone reads its projection from its own part of the config, as published.
    shape = {
        "projection_dim": 24,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
    }
    config = CLIPConfig(
        text_config={
            **shape,
            "num_attention_heads": 2,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": CLIP_LENGTH,
            # As in the published configs: the pooled output is then taken at the largest token.
            "bos_token_id": 0,
            "eos_token_id": 2,
            "pad_token_id": 1,
        },
        vision_config={**shape, "num_attention_heads": 2, "image_size": 64, "patch_size": 8},
        projection_dim=24,
    )
    # Of a seed by which CLIP-IQA of the tiny model is neither 0 nor 1.
    with seeded(96):
        CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_as_published(folder / "tokenizer.json")
    side = config.vision_config.image_size
    shown = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": side},
        "crop_size": {"height": side, "width": side},
        "resample": 3,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        **{f"do_{step}": True for step in ("resize", "center_crop", "rescale", "normalize")},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(shown, indent=2))
