"""SD 1.5 in miniature, with its safety checker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.tiny.texts import clip_text_encoder, clip_tokenizer
from models.tiny.weights import seeded, vae


def write_sd15(folder: Path) -> None:
    """Write it into a folder."""
    from diffusers import StableDiffusionPipeline

    StableDiffusionPipeline(**_parts(in_channels=4)).save_pretrained(
        folder, safe_serialization=True
    )


def write_sd15_inpainting(folder: Path) -> None:
    """Write the inpainting model, whose UNet also sees the mask and the masked picture."""
    from diffusers import StableDiffusionInpaintPipeline

    StableDiffusionInpaintPipeline(**_parts(in_channels=9)).save_pretrained(
        folder, safe_serialization=True
    )


def _parts(in_channels: int) -> dict[str, Any]:
    from diffusers import PNDMScheduler, UNet2DConditionModel
    from transformers import CLIPImageProcessor

    with seeded(24):
        unet = UNet2DConditionModel(
            sample_size=8,
            in_channels=in_channels,
            out_channels=4,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            block_out_channels=(16, 32),
            layers_per_block=1,
            norm_num_groups=4,
            attention_head_dim=2,
            cross_attention_dim=32,
        ).eval()
    return dict(
        vae=vae(21, latent_channels=4, scaling_factor=0.18215),
        text_encoder=clip_text_encoder(22),
        tokenizer=clip_tokenizer(),
        unet=unet,
        scheduler=PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            set_alpha_to_one=False,
            skip_prk_steps=True,
            steps_offset=1,
        ),
        safety_checker=safety_checker(),
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32),
    )


def safety_checker() -> Any:
    """A tiny checker, whose thresholds nothing reaches."""
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    with seeded(25):
        return StableDiffusionSafetyChecker(
            CLIPConfig(
                projection_dim=16,
                text_config=tower
                | {"num_attention_heads": 2, "vocab_size": 8, "bos_token_id": 0, "eos_token_id": 1},
                vision_config=tower
                | {"num_attention_heads": 2, "image_size": 32, "patch_size": 16},
            )
        ).eval()
