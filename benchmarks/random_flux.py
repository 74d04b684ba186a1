"""FLUX.1 schnell and dev at full size with random weights, built where they will run.

The shapes are those of the published configs; nothing is downloaded, and speed does not depend on
what the weights are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from models.generators.diffusers_pair.families import FAMILIES
from models.generators.diffusers_pair.loading import Pipeline
from models.quiet import quiet
from models.tiny.texts import clip_tokenizer, t5_tokenizer
from schemas.sample import Stage


def random_flux(device: torch.device) -> dict[Stage, Pipeline]:
    """Source and target as the generator holds them after it loaded the real ones."""
    quiet()
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxImg2ImgPipeline, FluxPipeline

    with _built_on(device):
        shared = {"vae": _vae(), "text_encoder": _clip(), "text_encoder_2": _t5()}
        shared |= {"tokenizer": clip_tokenizer(), "tokenizer_2": t5_tokenizer()}
        schnell, dev = _transformer(guided=False), _transformer(guided=True)
    source = FluxPipeline(
        transformer=schnell, scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0), **shared
    )
    target = FluxImg2ImgPipeline(
        transformer=dev,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        **shared,
    )
    for pipeline in (source, target):
        pipeline.set_progress_bar_config(disable=True)
    family = FAMILIES["FluxPipeline"]
    return {
        "source": Pipeline(source, family, "both"),
        "target": Pipeline(target, family, "both"),
    }


@contextmanager
def _built_on(device: torch.device) -> Iterator[None]:
    """Make weights in bfloat16 on the device itself: in float32 they would not fit there."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with device, torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(before)


def _transformer(guided: bool) -> Any:
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        in_channels=64,
        num_layers=19,
        num_single_layers=38,
        attention_head_dim=128,
        num_attention_heads=24,
        joint_attention_dim=4096,
        pooled_projection_dim=768,
        guidance_embeds=guided,
    ).eval()


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=16,
        scaling_factor=0.3611,
        shift_factor=0.1159,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()


def _clip() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    return CLIPTextModel(config).eval()


def _t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        d_model=4096,
        d_kv=64,
        d_ff=10240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
        use_cache=False,
    )
    return T5EncoderModel(config).eval()
