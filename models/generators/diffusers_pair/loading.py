"""Loads pipelines from their files; two of them share a component that is the same in both."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from models.generators.diffusers_pair.checkpoint import Checkpoint, same_component
from models.generators.diffusers_pair.checksums import sha256_of
from models.generators.diffusers_pair.families import Family, family_of
from models.quiet import quiet
from schemas.config import DiffusersSettings

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

    def load(self, checkpoint: Checkpoint, *, from_image: bool, lora: Path | None) -> Pipeline:
        """A pipeline of this model on the device, with a scheduler of its own."""
        quiet()
        import diffusers

        family = family_of(checkpoint)
        name = family.image_to_image if from_image else family.text_to_image
        for component in checkpoint.components:
            checkpoint.files(component)
        # A LoRA changes the denoiser in place: it may be nobody else's.
        wanted = _SHARED if lora else (*_SHARED, family.denoiser)
        pipeline = getattr(diffusers, name).from_pretrained(
            checkpoint.folder,
            dtype=getattr(torch, self.settings.dtype),
            use_safetensors=True,
            local_files_only=True,
            **self._shared(checkpoint, wanted),
        )
        pipeline.set_progress_bar_config(disable=True)
        if lora:
            add_lora(pipeline, family, lora, self.settings.lora_weight)
        pipeline.to(self.device)
        if self.settings.profile == "fast":
            compile_blocks(pipeline, family)
        if not lora:
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


def add_lora(pipeline: Any, family: Family, file: Path, weight: float) -> None:
    """Put a LoRA beside the denoiser's own weights, which stay as they are."""
    where = {"weight_name": file.name, "local_files_only": True, "use_safetensors": True}
    refused = f"generator.lora = {str(file)!r}"
    mend = f"use a LoRA of the {family.denoiser} that was trained for {family.name}"
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
    # diffusers only warns of layers that it finds no place for.
    placed = _matrices(name for name, _ in getattr(pipeline, family.denoiser).named_parameters())
    if placed != _matrices(names):
        raise ValueError(f"{refused}: {placed} of its {_matrices(names)} matrices fit; {mend}")
    pipeline.set_adapters(pipeline.get_active_adapters(), [weight])


def _matrices(names: Iterable[str]) -> int:
    return sum(".lora_A." in name or ".lora_B." in name for name in names)


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
