"""Stable Diffusion 1.5 in its own configuration, with random weights: its arithmetic alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.quiet import quiet
from models.stable_diffusion.noise import NoiseSchedule
from models.stable_diffusion.parts import Parts
from models.tiny.texts import clip_tokenizer
from schemas.run import ModelIdentity


def random_sd15(device: torch.device, dtype: torch.dtype) -> Parts:
    """The parts on a device: 860 M, 84 M and 123 M parameters, frozen."""
    quiet()
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=4,
            sample_size=512,
            scaling_factor=0.18215,
        )
    # Its positions are numbers that an empty tensor would not have.
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
            hidden_act="quick_gelu",
            projection_dim=768,
        )
    )
    for network in (unet, vae):
        _fill(network, device)
    networks: list[Any] = [unet, vae, text_encoder]
    for network in networks:
        network.to(device, dtype).eval().requires_grad_(False)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    return Parts(
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=clip_tokenizer(),
        schedule=NoiseSchedule(torch.cumprod(1 - betas, 0).to(device), "epsilon"),
        identity=ModelIdentity(model="random", revision="0", weights={}),
        folder=Path("random"),
    )


def _fill(network: nn.Module, device: torch.device) -> None:
    """Small numbers in place of none; norms keep what they multiply by."""
    network.to_empty(device=device)
    drawn = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1:
                parameter.uniform_(-0.02, 0.02, generator=drawn)
            else:
                parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
