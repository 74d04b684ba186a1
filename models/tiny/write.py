"""Writes tiny checkpoints, each whole or not at all: python -m models.tiny.write KIND FOLDER."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from models.quiet import quiet
from models.tiny.deepface import write_deepface_onnx, write_deepface_pytorch
from models.tiny.facescore import write_facescore, write_imagereward
from models.tiny.flux import write_flux
from models.tiny.hps import write_hps
from models.tiny.inception import write_inception
from models.tiny.llava import write_llava
from models.tiny.lora import write_lora
from models.tiny.lpips import write_lpips
from models.tiny.sd3 import write_sd3
from models.tiny.sd15 import write_sd15, write_sd15_inpainting
from models.tiny.texts import write_as_published
from models.tiny.vision import write_clip, write_dino, write_dinov2
from schemas.mistakes import nearest

KINDS: Mapping[str, Callable[[Path], None]] = {
    "flux-schnell": partial(write_flux, variant="schnell"),
    "flux-dev": partial(write_flux, variant="dev"),
    "flux-lora": write_lora,
    "lpips": write_lpips,
    "sd35-large-turbo": partial(write_sd3, variant="large-turbo"),
    "sd35-large": partial(write_sd3, variant="large"),
    "sd15": write_sd15,
    "sd15-inpainting": write_sd15_inpainting,
    "deepface-onnx": write_deepface_onnx,
    "deepface-pytorch": write_deepface_pytorch,
    "inception": write_inception,
    "dino": write_dino,
    "dinov2": write_dinov2,
    "clip": write_clip,
    "llava": write_llava,
    "facescore": write_facescore,
    "imagereward": write_imagereward,
    "hps": write_hps,
}


def write(kind: str, folder: Path) -> Path:
    """The folder, which then holds this checkpoint: written now, or found there whole."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r}: no such tiny checkpoint; {nearest(kind, list(KINDS))}")
    if folder.exists():
        return folder
    quiet()
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        KINDS[kind](making / "whole")
        for tokenizer in making.rglob("tokenizer*/tokenizer.json"):
            write_as_published(tokenizer)
        _rename(making / "whole", folder)
    finally:
        shutil.rmtree(making)
    return folder


def _rename(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        # Another process was first, and wrote the same bytes.
        if not folder.is_dir():
            raise


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("kind", choices=KINDS)
    options.add_argument("folder", type=Path)
    asked = options.parse_args()
    print(write(asked.kind, asked.folder))
