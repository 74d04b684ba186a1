"""What a LoRA's training leaves for others: RUN/adapter, previews of epochs, and a sheet."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from models.adapters.folder import write_adapter
from models.stable_diffusion.parts import Parts
from schemas.adapter import AdapterFacts
from schemas.endings import ends_the_run
from schemas.lora import LoraConfig
from schemas.settings import as_plain, fingerprint
from shards import filesystem
from shards.run import read_generator, read_run
from tasks.lora.previews import Picture, draw_previews, sheet
from tasks.lora.samples import LoraSamples

ADAPTER, PREVIEWS, SHEET = "adapter", "previews", "sheet.png"
_BEFORE = "before.png"


def keep_adapter(
    run: Path,
    config: LoraConfig,
    samples: LoraSamples,
    parts: Parts,
    *,
    epochs: int,
    images_seen: int,
) -> None:
    """Write RUN/adapter anew, with what it was trained on."""
    ids = sorted(samples.ids())
    generator, made = read_generator(samples.dataset), read_run(samples.dataset)
    assert generator is not None  # the run agreed on it
    facts = AdapterFacts(
        dataset=made.config.name,
        made_by=generator.fingerprint(),
        profile=_profile(made.config.generator.kind),
        texts="prompts" if samples.captions is None else "captions",
        num_ids=len(ids),
        ids_sha256=hashlib.sha256("\n".join(ids).encode()).hexdigest(),
        size_px=samples.size_px,
        epochs=epochs,
        images_seen=images_seen,
        config_sha256=fingerprint(as_plain(config)),
    )
    with ends_the_run():
        write_adapter(run / ADAPTER, parts.unet, config.adapter, parts.identity, facts)


def keep_previews(run: Path, config: LoraConfig, parts: Parts, size_px: int, epochs: int) -> None:
    """Draw the previews of an epoch, and those without the adapter where they are not there."""
    settings = config.preview
    if not settings.prompts:
        return
    size_px = settings.size_px or size_px
    folder = run / PREVIEWS
    with ends_the_run():
        filesystem.make_folder(folder)
    if not (folder / _BEFORE).exists():
        _write(run, folder / _BEFORE, draw_previews(parts, settings, size_px, adapted=False))
    before = np.asarray(Image.open(folder / _BEFORE).convert("RGB"))
    after = draw_previews(parts, settings, size_px, adapted=True)
    _write(run, folder / f"epoch-{epochs:04d}.png", after)
    _write(run, run / SHEET, np.asarray(sheet(before, after, settings.prompts)))


def _write(run: Path, path: Path, picture: Picture) -> None:
    png = io.BytesIO()
    Image.fromarray(picture).save(png, "PNG")
    with ends_the_run():
        filesystem.replace_file(run, path, filesystem.plain(png.getvalue()))


def _profile(kind: str) -> Literal["photo", "generated", "procedural"]:
    if kind == "procedural":
        return "procedural"
    return "photo" if kind == "folder" else "generated"
