"""A trained UNet on a disk, in diffusers' layout, written whole or not at all.

Layers that were not trained are the base model's own file, number by number, whatever format they
were worked with.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.quiet import quiet
from models.whole_folder import whole_folder

CARD, FACTS, CONFIG = "README.md", "relume.json", "config.json"


def save_unet(
    folder: Path,
    base: Path,
    trained: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    card: str,
) -> None:
    """Put a UNet into a folder, in place of one that may be there.

    `base` is the folder of the UNet that training began with, `trained` its layers that changed.
    """
    quiet()
    from diffusers import UNet2DConditionModel

    if folder.exists() and not (folder / FACTS).is_file() and any(folder.iterdir()):
        raise ValueError(f"{folder}: is there and no UNet of Relume; name another, or remove it")
    unet = UNet2DConditionModel.from_pretrained(
        base, dtype=torch.float32, use_safetensors=True, local_files_only=True
    )
    missing, unexpected = unet.load_state_dict(
        {name: one.detach().float().cpu() for name, one in trained.items()}, strict=False
    )
    assert not unexpected, unexpected
    assert len(missing) == len(unet.state_dict()) - len(trained)
    with whole_folder(folder) as making:
        unet.save_pretrained(making, safe_serialization=True)
        # Where the base lay is nobody's business.
        config = json.loads((making / CONFIG).read_bytes())
        config.pop("_name_or_path", None)
        (making / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        (making / FACTS).write_text(json.dumps(dict(facts), indent=2) + "\n")
        (making / CARD).write_text(card)
