"""Loads pipelines from their files; two of them share a component that is the same in both."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from models.adapters.folder import check_published
from models.adapters.lora_files import DIFFUSERS, KOHYA
from models.checksums import sha256_of
from models.generators.diffusers_pair.checkpoint import Checkpoint, same_component
from models.generators.diffusers_pair.families import Family, family_of
from models.quiet import quiet
from schemas.generator import DiffusersSettings

_SHARED = ("vae", "text_encoder", "text_encoder_2", "text_encoder_3", "safety_checker")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline that is ready, and what tells whether another one reads prompts alike."""

    run: Any
    family: Family
    reads_like: Hashable


@dataclass(slots=True)
class Loader:
    """Loads one pipeline after the other, and remembers what they could share."""

    settings: DiffusersSettings
    device: torch.device
    _loaded: list[tuple[Checkpoint, Any]] = field(default_factory=list)

    def load(
        self,
        checkpoint: Checkpoint,
        *,
        from_image: bool,
        lora: Path | None,
        unet: Path | None = None,
        pndm: bool = False,
    ) -> Pipeline:
        """A pipeline of this model on the device, with a scheduler of its own.

        `unet` takes the place of its own one, and PNDM that of its sampler.
        """
        quiet()
        import diffusers

        family = family_of(checkpoint)
        name = family.image_to_image if from_image else family.text_to_image
        for component in checkpoint.components:
            checkpoint.files(component)
        # A LoRA changes the denoiser in place: it may be nobody else's.
        own = lora is not None or unet is not None
        wanted = _SHARED if own else (*_SHARED, family.denoiser)
        parts = self._shared(checkpoint, wanted)
        if unet is not None:
            parts["unet"] = load_unet(unet, family, getattr(torch, self.settings.dtype))
        pipeline = getattr(diffusers, name).from_pretrained(
            checkpoint.folder,
            dtype=getattr(torch, self.settings.dtype),
            use_safetensors=True,
            local_files_only=True,
            **parts,
        )
        if pndm:
            use_pndm(pipeline, family)
        if from_image and is_off_midway(checkpoint):
            use_ddim(pipeline)
        pipeline.set_progress_bar_config(disable=True)
        if lora:
            check_published(lora)
            add_lora(pipeline, family, lora, self.settings.lora_weight)
        pipeline.to(self.device)
        if self.settings.profile == "fast":
            compile_blocks(pipeline, family)
        if not own:
            self._loaded.append((checkpoint, pipeline))
        return Pipeline(pipeline, family, _reads_like(checkpoint, pipeline))

    def _shared(self, checkpoint: Checkpoint, components: tuple[str, ...]) -> dict[str, Any]:
        return {
            component: getattr(pipeline, component)
            for component in components
            if component in checkpoint.components
            for other, pipeline in self._loaded
            if same_component(checkpoint, other, component)
        }


def compile_blocks(pipeline: Any, family: Family) -> None:
    """Compile the repeated blocks alone: seconds, where the whole denoiser takes a minute."""
    for block in getattr(pipeline, family.denoiser).modules():
        if type(block).__name__ in family.blocks and block._compiled_call_impl is None:
            block.compile(fullgraph=True, dynamic=False)


def load_unet(folder: Path, family: Family, dtype: torch.dtype) -> Any:
    """A UNet in diffusers' layout; ValueError where it does not fill itself, or fits no UNet."""
    from diffusers import UNet2DConditionModel

    refused = f"generator.unet = {str(folder)!r}"
    if family.denoiser != "unet":
        raise ValueError(f"{refused}: {family.name} has a {family.denoiser}, no UNet; leave it out")
    try:
        unet, told = UNet2DConditionModel.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise ValueError(f"{refused}: does not load: {_first_line(error)}") from error
    # diffusers only warns, and fills them with random numbers.
    missing = [*told["missing_keys"], *told["mismatched_keys"]]
    if missing:
        raise ValueError(f"{refused}: lacks {missing[0]!r} ({len(missing)} such tensors)")
    return unet.eval()


def use_pndm(pipeline: Any, family: Family) -> None:
    """Sample as paper 3 does; ValueError where a family's noise is none of PNDM's."""
    from diffusers import PNDMScheduler

    if family.denoiser != "unet":
        raise ValueError(
            f"generator.scheduler = 'pndm': {family.name} is sampled otherwise; say 'checkpoint'"
        )
    pipeline.scheduler = PNDMScheduler.from_config(pipeline.scheduler.config, skip_prk_steps=True)


def is_off_midway(checkpoint: Checkpoint) -> bool:
    """Whether a model names a sampler that cannot begin midway, as making from a picture does.

    PNDM's first steps are made for the beginning; elsewhere it stays a step behind to the end.
    """
    # A model that lacks one is refused, with its name, when it is loaded.
    _, sampler = checkpoint.index.get("scheduler", ("", ""))
    return bool(sampler == "PNDMScheduler")


def use_ddim(pipeline: Any) -> None:
    """Sample by DDIM along the model's own noise, which may begin anywhere."""
    from diffusers import DDIMScheduler

    # Its own default would clip latents, as if they were pixels.
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)


def add_lora(pipeline: Any, family: Family, file: Path, weight: float) -> None:
    """Put a LoRA beside the denoiser's own weights, which stay as they are."""
    where = {"weight_name": file.name, "local_files_only": True, "use_safetensors": True}
    refused = f"generator.lora = {str(file)!r}"
    mend = f"use a LoRA of the {family.denoiser} that was trained for {family.name}"
    if file.name == KOHYA and (file.parent / DIFFUSERS).is_file():
        # diffusers knows some of kohya's names alone.
        mend = f"use {DIFFUSERS} beside it"
    try:
        layers = pipeline.lora_state_dict(file.parent, **where)
        names = layers[0] if isinstance(layers, tuple) else layers
        others = sorted(name for name in names if not name.startswith(f"{family.denoiser}."))
        if not others:
            pipeline.load_lora_weights(file.parent, **where)
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise ValueError(f"{refused}: does not fit: {_first_line(error)}; {mend}") from error
    if others:
        raise ValueError(f"{refused}: changes {others[0]!r} too; {mend}")
    # diffusers only warns of layers that it finds no place for, and of halves of a layer not even
    # that: it gives them zeros.
    parameters = getattr(pipeline, family.denoiser).named_parameters()
    placed = {_plain_name(name) for name, _ in parameters if _MATRIX.search(name)}
    given = {name.removeprefix(f"{family.denoiser}.") for name in names if _MATRIX.search(name)}
    stray = sorted(placed ^ given)
    if stray:
        told = "has no place for" if stray[0] in given else "lacks"
        raise ValueError(f"{refused}: {told} {stray[0]!r} ({len(stray)} do not match); {mend}")
    pipeline.set_adapters(pipeline.get_active_adapters(), [weight])


# A matrix of a LoRA, and the name of its adapter, which files do not have.
_MATRIX = re.compile(r"\.(lora_[AB])\.(?:[^.]+\.)?weight$")


def _plain_name(name: str) -> str:
    return _MATRIX.sub(r".\1.weight", name)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")


def _reads_like(checkpoint: Checkpoint, pipeline: Any) -> Hashable:
    """Equal for pipelines with the same text encoders in memory and the same tokenizers."""
    texts = [name for name in checkpoint.components if name.startswith("text_encoder")]
    vocabularies = [
        path
        for name in checkpoint.components
        if name.startswith("tokenizer")
        for path in checkpoint.files(name)
    ]
    encoders = tuple(id(getattr(pipeline, name)) for name in texts)
    return encoders, tuple(sha256_of(vocabularies).values())
