"""What differs between families of models: their pipelines, and how a prompt reaches them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.generators.diffusers_pair.checkpoint import INDEX, Checkpoint
from schemas.endings import CannotGoOn

# A prompt's encodings by the names that the pipelines give them.
Encoded = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Two pipelines of diffusers and their habits."""

    name: str
    text_to_image: str
    image_to_image: str
    denoiser: str
    # Classes of the denoiser's repeated blocks; diffusers names them for some models only.
    blocks: tuple[str, ...]
    # The tokenizer that has to hold a prompt whole.
    tokenizer: str
    encode: Callable[[Any, list[str], int], Encoded]
    # The length that the tokenizer always has; None where it is a setting.
    fixed_tokens: int | None = None
    # Guidance by a second pass without the prompt; FLUX is told its guidance as a number.
    negative: bool = True
    # The pipeline takes the target's size from the source, and no other.
    size_from_image: bool = False
    takes_tokens: bool = True


def _encode_flux(pipeline: Any, prompts: list[str], tokens: int) -> Encoded:
    embeds, pooled, _ = pipeline.encode_prompt(
        prompt=prompts, prompt_2=None, max_sequence_length=tokens
    )
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


def _encode_sd3(pipeline: Any, prompts: list[str], tokens: int) -> Encoded:
    embeds, _, pooled, _ = pipeline.encode_prompt(
        prompt=prompts,
        prompt_2=None,
        prompt_3=None,
        do_classifier_free_guidance=False,
        max_sequence_length=tokens,
    )
    return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


def _encode_sd15(pipeline: Any, prompts: list[str], tokens: int) -> Encoded:
    device = pipeline._execution_device
    embeds, _ = pipeline.encode_prompt(prompts, device, 1, False)
    return {"prompt_embeds": embeds}


FAMILIES: Mapping[str, Family] = {
    "FluxPipeline": Family(
        name="FLUX",
        text_to_image="FluxPipeline",
        image_to_image="FluxImg2ImgPipeline",
        denoiser="transformer",
        blocks=("FluxTransformerBlock", "FluxSingleTransformerBlock"),
        tokenizer="tokenizer_2",
        encode=_encode_flux,
        negative=False,
    ),
    "StableDiffusion3Pipeline": Family(
        name="SD 3.5",
        text_to_image="StableDiffusion3Pipeline",
        image_to_image="StableDiffusion3Img2ImgPipeline",
        denoiser="transformer",
        blocks=("JointTransformerBlock",),
        tokenizer="tokenizer_3",
        encode=_encode_sd3,
    ),
    "StableDiffusionPipeline": Family(
        name="SD 1.5",
        text_to_image="StableDiffusionPipeline",
        image_to_image="StableDiffusionImg2ImgPipeline",
        denoiser="unet",
        blocks=("BasicTransformerBlock",),
        tokenizer="tokenizer",
        encode=_encode_sd15,
        fixed_tokens=77,
        size_from_image=True,
        takes_tokens=False,
    ),
}


def family_of(checkpoint: Checkpoint) -> Family:
    """The family that a model says it belongs to."""
    name = str(checkpoint.index.get("_class_name"))
    if name not in FAMILIES:
        known = ", ".join(f"{cls} ({family.name})" for cls, family in FAMILIES.items())
        raise ValueError(
            f"{checkpoint.folder / INDEX}: _class_name = {name!r} is not a known family; "
            f"known here: {known}"
        )
    return FAMILIES[name]


def encode_prompts(
    family: Family, pipeline: Any, prompts: list[str], tokens: int, *, cut: bool = False
) -> Encoded:
    """What a pipeline's text encoders make of prompts that fit into so many tokens, or are cut."""
    if not cut:
        _check_length(getattr(pipeline, family.tokenizer), prompts, tokens)
    return family.encode(pipeline, prompts, tokens)


def _check_length(tokenizer: Any, prompts: Sequence[str], tokens: int) -> None:
    for prompt, ids in zip(prompts, tokenizer(list(prompts)).input_ids, strict=True):
        if len(ids) > tokens:
            # A setting of the whole plan, so no other attempt and no other shard would do better.
            raise CannotGoOn(
                f"prompt {prompt!r}: has {len(ids)} tokens, and {tokens} are read; plan into a new "
                "folder with a larger --generator.text-tokens, a shorter --dataset.prompt, or "
                "--generator.long-prompts cut"
            )
