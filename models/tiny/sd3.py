"""SD 3.5 in miniature: large-turbo and large, which share everything but the transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from models.tiny.texts import clip_text_encoder, clip_tokenizer, t5_encoder, t5_tokenizer
from models.tiny.weights import seeded, vae

Variant = Literal["large-turbo", "large"]


def write_sd3(folder: Path, variant: Variant) -> None:
    """Write one of the two into a folder."""
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        SD3Transformer2DModel,
        StableDiffusion3Pipeline,
    )

    with seeded({"large-turbo": 14, "large": 15}[variant]):
        transformer = SD3Transformer2DModel(
            sample_size=32,
            in_channels=16,
            out_channels=16,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            caption_projection_dim=32,
            # Both CLIP encoders' pooled outputs, side by side.
            pooled_projection_dim=32,
            pos_embed_max_size=32,
            qk_norm="rms_norm",
        ).eval()
    StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(
            11,
            latent_channels=16,
            scaling_factor=1.5305,
            shift_factor=0.0609,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=clip_text_encoder(12, width=16, projected=True),
        tokenizer=clip_tokenizer(),
        text_encoder_2=clip_text_encoder(13, width=16, projected=True),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5_encoder(16),
        tokenizer_3=t5_tokenizer(),
    ).save_pretrained(folder, safe_serialization=True)
