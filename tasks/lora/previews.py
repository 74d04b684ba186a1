"""Pictures of fixed prompts and seeds, drawn with the adapter and without, and a sheet of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from models.quiet import quiet
from models.stable_diffusion.parts import Parts
from schemas.lora import PreviewSettings

Picture = NDArray[np.uint8]
_GAP_PX, _PAPER, _INK = 8, (250, 250, 248), (30, 30, 30)


def draw_previews(
    parts: Parts, settings: PreviewSettings, size_px: int, *, adapted: bool
) -> Picture:
    """A row of pictures per prompt, one per seed; (H, W, 3)."""
    was_training = parts.unet.training
    parts.unet.eval()
    if not adapted:
        parts.unet.disable_adapters()
    try:
        pipeline = _pipeline(parts)
        rows = [_row(pipeline, settings, prompt, size_px) for prompt in settings.prompts]
    finally:
        if not adapted:
            parts.unet.enable_adapters()
        parts.unet.train(was_training)
    return np.concatenate(rows, 0)


def sheet(before: Picture, after: Picture, prompts: Sequence[str]) -> Image.Image:
    """Each prompt's pictures without the adapter on the left, with it on the right."""
    height, width = before.shape[0] // len(prompts), before.shape[1]
    line = max(height // 16, 12)
    font = ImageFont.load_default(line * 0.8)
    told = [_wrapped(prompt, font, 2 * width + _GAP_PX) for prompt in prompts]
    bands = [height + (1 + len(lines)) * line for lines in told]
    drawn = Image.new("RGB", (2 * width + 3 * _GAP_PX, 2 * line + sum(bands) + _GAP_PX), _PAPER)
    write = ImageDraw.Draw(drawn)
    write.text((_GAP_PX, line // 2), "without the adapter", _INK, font)
    write.text((width + 2 * _GAP_PX, line // 2), "with it", _INK, font)
    top = 2 * line
    for number, (lines, band) in enumerate(zip(told, bands, strict=True)):
        for place, text in enumerate(lines):
            write.text((_GAP_PX, top + place * line), text, _INK, font)
        part = slice(number * height, (number + 1) * height)
        for column, pictures in enumerate((before, after)):
            corner = (_GAP_PX + column * (width + _GAP_PX), top + len(lines) * line + line // 2)
            drawn.paste(Image.fromarray(pictures[part]), corner)
        top += band
    return drawn


def _wrapped(text: str, font: Any, width_px: int) -> list[str]:
    """A text in lines of this width; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width_px:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _pipeline(parts: Parts) -> Any:
    """The model's own pipeline around networks that are here already, with its own sampler."""
    quiet()
    import diffusers

    made = diffusers.StableDiffusionPipeline(
        unet=parts.unet,
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        scheduler=diffusers.PNDMScheduler.from_pretrained(
            parts.folder / "scheduler", local_files_only=True
        ),
        # A black picture would say nothing of the training.
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


@torch.no_grad()
def _row(pipeline: Any, settings: PreviewSettings, prompt: str, size_px: int) -> Picture:
    drawn = []
    for seed in settings.seeds:
        # One by one: in company a picture would have other last digits.
        made = pipeline(
            prompt,
            negative_prompt=settings.negative_prompt or None,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            height=size_px,
            width=size_px,
            generator=torch.Generator().manual_seed(seed),
            output_type="np",
        ).images[0]
        drawn.append(np.round(np.asarray(made) * 255).astype(np.uint8))
    return np.concatenate(drawn, 1)
