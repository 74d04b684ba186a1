"""Pairs of a portrait and the same with its face blurred, as `relume facepairs` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from models.generators.procedural.painter import PAINTER_REVISION
from models.stable_diffusion.inpainting import Inpainter, Painted
from models.tiny.write import write
from workflows.cli import main

PRESET = """
seed = 5
[generator]
kind = "procedural"
[stage.source]
model = "procedural"
revision = "{revision}"
[dataset.faces]
prompt = "A portrait"
count = {count}
stages = ["source"]
size_px = 64
shard_size = 40
batch_size = 8
[split]
train = 6
validation = 4
test = 0
[facepairs]
batch_size = 8
faces = 1
[facepairs.rules]
min_clearness = 0.0
[facepairs.finder]
weights = "{folder}/deepface"
[facepairs.inpaint]
model = "{folder}/painter"
revision = "tiny"
steps = 20
dtype = "float32"
device = "cpu"
[facescore]
scorer = "{folder}/scorer"
epochs = 2
batch_size = 10
[facescore.optimiser]
learning_rate = 1e-3
[facescore.data]
loader_workers = 0
"""


def make_blurred_pairs(folder: Path, count: int, radius_px: float) -> Path:
    """A dataset of pairs in FOLDER/pairs, and FOLDER/preset.toml that trains on it."""
    write("deepface-onnx", folder / "deepface")
    write("sd15-inpainting", folder / "painter")
    write("imagereward", folder / "scorer")
    preset = folder / "preset.toml"
    preset.write_text(PRESET.format(revision=PAINTER_REVISION, count=count, folder=folder))
    faces, pairs = folder / "faces", folder / "pairs"
    assert main(["plan", str(preset), "--dataset", "faces", "--out", str(faces)]) == 0
    assert main(["generate", "--here", str(faces)]) == 0

    def blurred(_: Inpainter, pictures: np.ndarray, *rest: Any) -> Painted:
        soft = ImageFilter.GaussianBlur(radius_px)
        made = [np.asarray(Image.fromarray(one).filter(soft), np.float32) for one in pictures]
        return Painted(np.stack(made) / 255, [False] * len(made))

    # The face is found, masked, pasted and published by the verb; only the painting is not.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Inpainter, "paint", blurred)
        words = [str(preset), "--data", str(faces), "--out", str(pairs), "--here"]
        assert main(["facepairs", *words]) == 0
    return pairs
