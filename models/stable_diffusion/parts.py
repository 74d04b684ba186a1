"""The networks of Stable Diffusion 1.5, loaded one by one from a folder in diffusers' layout.

Loads offline and in the number format that is asked for, and refuses weights that do not fill a
network, which the libraries would fill with random ones. Trains nothing and knows no adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from models.generators.diffusers_pair.checkpoint import Checkpoint, find_checkpoint
from models.generators.diffusers_pair.families import FAMILIES
from models.quiet import quiet
from models.stable_diffusion.noise import NoiseSchedule, load_noise_schedule
from schemas.run import ModelIdentity

COMPONENTS = ("scheduler", "text_encoder", "tokenizer", "unet", "vae")
_FAMILY = "StableDiffusionPipeline"
# Of pictures and latents that a pretrained UNet of this family knows: 4 channels, no mask beside.
_LATENT_CHANNELS = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """What a training step of Stable Diffusion needs; every network frozen and in eval mode."""

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    schedule: NoiseSchedule
    identity: ModelIdentity
    folder: Path

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        found: torch.device = self.unet.device
        return found

    @property
    def latent_scale(self) -> int:
        """Pixels along a side of one latent place: 8."""
        scale: int = 2 ** (len(self.vae.config.block_out_channels) - 1)
        return scale

    @property
    def text_length(self) -> int:
        """Tokens that the text encoder reads: 77."""
        length: int = self.tokenizer.model_max_length
        return length

    def predict(self, noisy: Tensor, timesteps: Tensor, texts: Tensor) -> Tensor:
        """What the UNet says of noisy latents (N, 4, h, w) at their steps (N,) and texts."""
        told: Tensor = self.unet(noisy, timesteps, encoder_hidden_states=texts).sample
        return told


def find_parts(model: str, revision: str = "main", setting: str = "model") -> Checkpoint:
    """The folder of a Stable Diffusion 1.5; a ValueError says what `setting` should be instead."""
    checkpoint = find_checkpoint(model, revision, setting)
    made_for = str(checkpoint.index.get("_class_name"))
    if made_for != _FAMILY:
        raise ValueError(
            f"{setting} = {model!r}: is made for {made_for}, not for {_FAMILY}; "
            f"name a checkpoint of {FAMILIES[_FAMILY].name}"
        )
    for component in COMPONENTS:
        checkpoint.files(component)
    return checkpoint


def identity_of(checkpoint: Checkpoint) -> ModelIdentity:
    """Which model this is, by the checksum of every file that its parts are loaded from."""
    return ModelIdentity(
        model=checkpoint.model,
        revision=checkpoint.revision,
        weights=checkpoint.sha256(COMPONENTS),
    )


def load_parts(
    checkpoint: Checkpoint,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    unet_dtype: torch.dtype | None = None,
) -> Parts:
    """The parts on a device, frozen; the UNet in a number format of its own where it is trained."""
    quiet()
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    unet = _load(UNet2DConditionModel.from_pretrained, checkpoint, "unet", unet_dtype or dtype)
    vae = _load(AutoencoderKL.from_pretrained, checkpoint, "vae", dtype)
    text_encoder = _load(CLIPTextModel.from_pretrained, checkpoint, "text_encoder", dtype)
    _check_fit(checkpoint, unet, vae, text_encoder)
    for network in (unet, vae, text_encoder):
        network.to(device)
    return Parts(
        unet=unet,
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=CLIPTokenizer.from_pretrained(
            checkpoint.folder / "tokenizer", local_files_only=True
        ),
        schedule=load_noise_schedule(checkpoint.folder / "scheduler", torch.device(device)),
        identity=identity_of(checkpoint),
        folder=checkpoint.folder,
    )


def _load(
    from_pretrained: Callable[..., Any],
    checkpoint: Checkpoint,
    component: Literal["unet", "vae", "text_encoder"],
    dtype: torch.dtype,
) -> nn.Module:
    folder = checkpoint.folder / component
    try:
        network, told = from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        why = str(error).strip().split("\n")[0].rstrip(".")
        raise ValueError(f"{folder}: does not load: {why}; get it again: relume fetch") from error
    _refuse_gaps(folder, told)
    loaded: nn.Module = network.eval().requires_grad_(False)
    return loaded


def _refuse_gaps(folder: Path, told: Mapping[str, Any]) -> None:
    """Raise where the libraries would only warn, and train or draw with random weights."""
    for what in ("missing_keys", "mismatched_keys"):
        names = sorted(one if isinstance(one, str) else one[0] for one in told.get(what) or ())
        if names:
            kind = "lacks" if what == "missing_keys" else "has in another shape"
            raise ValueError(
                f"{folder}: {kind} {names[0]!r} ({len(names)} such tensors); "
                "get it again: relume fetch"
            )


def _check_fit(checkpoint: Checkpoint, unet: Any, vae: Any, text_encoder: Any) -> None:
    """Raise where networks do not belong together, or to this kind of training."""
    found, model = unet.config, checkpoint.model
    if found.in_channels != _LATENT_CHANNELS or vae.config.latent_channels != _LATENT_CHANNELS:
        raise ValueError(
            f"{model!r}: its UNet takes {found.in_channels} channels, and a text-to-image one "
            f"takes {_LATENT_CHANNELS}; name the text-to-image model, not its inpainting one"
        )
    width = text_encoder.config.hidden_size
    if found.cross_attention_dim != width:
        raise ValueError(
            f"{model!r}: its UNet reads texts of width {found.cross_attention_dim}, its text "
            f"encoder writes {width}; get it again: relume fetch"
        )
