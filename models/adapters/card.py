"""The model card of an adapter: what it is, what it learned from, how to use it."""

from __future__ import annotations

from models.adapters.lora_files import DIFFUSERS, KOHYA
from schemas.adapter import AdapterFacts, AdapterRecord
from schemas.settings import descriptions

_USE = """\
```python
from diffusers import StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained("{base}")
pipe.load_lora_weights("THIS FOLDER")
```

Kohya's trainer and web interfaces read `{kohya}`, which holds the same numbers."""


def card(record: AdapterRecord, num_parameters: int) -> str:
    """README.md with the front matter that the hub reads."""
    tags = ["text-to-image", "lora", "stable-diffusion", "relume"]
    if record.training and record.training.profile == "procedural":
        tags.append("procedural")
    settings = [
        f"| `{name}` | {value} | {sentence} |"
        for name, (value, sentence) in descriptions(record.adapter).items()
    ]
    # The hub knows names of its own; a folder's path means nothing to it.
    on_hub = record.base.model.count("/") == 1 and not record.base.model.startswith(("/", "."))
    base = [f"base_model: {record.base.model}"] if on_hub else []
    parts = [
        "\n".join(
            [
                "---",
                "library_name: diffusers",
                "pipeline_tag: text-to-image",
                *base,
                "tags:",
                *(f"- {tag}" for tag in tags),
                "---",
            ]
        ),
        "# A LoRA of Stable Diffusion 1.5's UNet",
        f"{num_parameters:,} parameters beside `{record.base.model}` (`{record.base.revision}`), "
        f"float32. Scale {record.adapter.scale:g}: alpha {record.adapter.stored_alpha} over rank "
        f"{record.adapter.rank} in `{DIFFUSERS}`.",
        "\n".join(["| setting | value | what |", "|---|---|---|", *settings]),
        "## Trained on",
        _trained_on(record.training),
        "## Use",
        _USE.format(kohya=KOHYA, base=record.base.model),
        "## Beware",
        "It makes faces look more like photographs. Label what it draws as made by a machine. What "
        "licence it may have follows from the base model's and from the pictures that it learned "
        "from.",
    ]
    return "\n\n".join(parts) + "\n"


def _trained_on(facts: AdapterFacts | None) -> str:
    if facts is None:
        return "Unknown: these weights came from elsewhere."
    told = (
        f"{facts.num_ids:,} samples of the dataset `{facts.dataset}` at {facts.size_px} px, with "
        f"{facts.texts}; {facts.epochs} epochs, {facts.images_seen:,} pictures seen. "
        f"Checksum of the sample ids: `{facts.ids_sha256}`. Fingerprint of the training config: "
        f"`{facts.config_sha256}`."
    )
    if facts.profile == "procedural":
        told = (
            "**Procedural pictures**, drawn by a program to test the instrument: no use for real "
            "pictures.\n\n" + told
        )
    return told
