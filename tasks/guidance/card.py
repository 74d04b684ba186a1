"""The model card of a guided UNet: what it is, what it learned from, how to use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.guide import GuideConfig
from schemas.settings import descriptions

_USE = """\
```python
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

unet = UNet2DConditionModel.from_pretrained("THIS FOLDER")
pipeline = StableDiffusionPipeline.from_pretrained("{model}", unet=unet)
picture = pipeline("a man on a scooter", guidance_scale=7.5, num_inference_steps=50).images[0]
```
"""


def guide_card(config: GuideConfig, num_parameters: int, facts: Mapping[str, Any]) -> str:
    """README.md with the front matter that the hub reads."""
    what = "self-attention" if config.trained == "attn1" else "every layer"
    told = [
        f"| `{name}` | {value} | {sentence} |"
        for name, (value, sentence) in descriptions(config).items()
    ]
    return "\n".join(
        [
            "---",
            "library_name: diffusers",
            f"base_model: {facts['model']}",
            "tags: [text-to-image, stable-diffusion, relume]",
            "---",
            "",
            "# A UNet guided from bad faces to good ones",
            "",
            f"The UNet of {facts['model']} (revision {facts['revision']}), of which {what} "
            f"({num_parameters:,} numbers) was trained by the guidance loss of Liao et al., "
            "*Fine-tuning Diffusion Models for Enhancing Face Quality in Text-to-image "
            f"Generation*: {facts['pairs_seen']:,} face pairs of the dataset {facts['dataset']}. "
            "Everything else is that model's, and so is its licence.",
            "",
            "## Use",
            "",
            _USE.format(model=facts["model"]),
            "## Settings",
            "",
            "| setting | value | what |",
            "|---|---|---|",
            *told,
            "",
        ]
    )
