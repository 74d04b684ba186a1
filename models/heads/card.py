"""The model card of a head: what it is, what it learned from, how to use it, what to beware of."""

from __future__ import annotations

from schemas.head import HeadConfig, TrainingFacts
from schemas.settings import descriptions

_USE = """\
```python
# In a checkout of Relume:
from models.heads.head import Head

head = Head.from_pretrained("FOLDER OR HUB ID")
enhanced = head(picture)  # a Pillow image, or numpy levels (height, width, 3), any size
```

Without Relume, in this folder, with torch, numpy, safetensors and Pillow:

```sh
python head.py PICTURE ENHANCED.png
```
"""


def card(config: HeadConfig, num_parameters: int) -> str:
    """README.md with the front matter that the hub reads."""
    tags = ["image-to-image", "relume", config.network.kind]
    if config.training and config.training.profile == "procedural":
        tags.append("procedural")
    network = [
        f"| `{name}` | {value} | {sentence} |"
        for name, (value, sentence) in descriptions(config.network).items()
    ]
    parts = [
        "\n".join(
            [
                "---",
                "library_name: relume",
                "pipeline_tag: image-to-image",
                "tags:",
                *(f"- {tag}" for tag in tags),
                "---",
            ]
        ),
        "# A head: from a fast model's pictures towards a slow model's finish",
        f"An image-to-image network of {num_parameters:,} parameters, float32, in safetensors.",
        "\n".join(["| setting | value | what |", "|---|---|---|", *network]),
        "## Trained on",
        _trained_on(config.training),
        "## Use",
        _USE.rstrip(),
        "## Beware",
        "It changes details that people recognise each other by: do not use it on pictures of real "
        "people without their consent. It was made for portraits of the source above; elsewhere it "
        "may invent texture. What licence it may have follows from the models whose pictures it "
        "learned from.",
    ]
    return "\n\n".join(parts) + "\n"


def _trained_on(facts: TrainingFacts | None) -> str:
    if facts is None:
        return "Unknown: these weights came from elsewhere; an overlap with a test may be there."
    told = (
        f"{facts.num_ids:,} samples of the dataset `{facts.dataset}`, method `{facts.method}`, "
        f"{facts.images_seen:,} pictures seen, at {facts.size_px} px. "
        f"Source: `{facts.source.model}` (`{facts.source.revision}`). "
        f"Target: `{facts.target.model}` (`{facts.target.revision}`). "
        f"Profile: `{facts.profile}`. Hash of the sample ids: `{facts.ids_sha256}`. "
        f"Fingerprint of the training config: `{facts.config_sha256}`."
    )
    if facts.profile == "procedural":
        told = (
            "**Procedural pictures**, drawn by a program to test the instrument. This head is no "
            "use for pictures of a model, and no number of it stands beside one of a model.\n\n"
            + told
        )
    return told
