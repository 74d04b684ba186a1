"""FLUX in miniature: schnell and dev, which share everything but the transformer, as in reality."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from models.tiny.texts import clip_text_encoder, clip_tokenizer, t5_encoder, t5_tokenizer
from models.tiny.weights import seeded, vae

Variant = Literal["schnell", "dev"]


def write_flux(folder: Path, variant: Variant) -> None:
    """Write one of the two into a folder."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline

    # Only dev shifts its schedule with the size of the picture.
    shift = {"schnell": {"shift": 1.0}, "dev": {"shift": 3.0, "use_dynamic_shifting": True}}
    FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(**shift[variant]),
        vae=vae(
            1,
            latent_channels=16,
            scaling_factor=0.3611,
            shift_factor=0.1159,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=clip_text_encoder(2),
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5_encoder(3),
        tokenizer_2=t5_tokenizer(),
        transformer=flux_transformer(variant),
    ).save_pretrained(folder, safe_serialization=True)


def flux_transformer(variant: Variant) -> Any:
    """The tiny transformer; dev is told the guidance, schnell is not."""
    from diffusers import FluxTransformer2DModel

    with seeded({"schnell": 4, "dev": 5}[variant]):
        return FluxTransformer2DModel(
            in_channels=64,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            guidance_embeds=variant == "dev",
            axes_dims_rope=(4, 6, 6),
        ).eval()
