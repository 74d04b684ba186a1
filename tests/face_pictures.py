"""A dataset whose pictures hold no, one or several faces, some blurred, for tests of face pairs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter
from safetensors.torch import load_file, save_file

from models.generators.procedural.generator import ProceduralGenerator
from models.generators.procedural.painter import PAINTER_REVISION
from workflows import facepairs, generate, plan

SIZE_PX = 256
SCENES = ("whole", "quarters", "none", "blurred")
CONFIG = f"""
seed = 9
fractions = [0.5]
[generator]
kind = "procedural"
[stage.source]
model = "procedural"
revision = "{PAINTER_REVISION}"
[dataset.faces]
prompt = "A portrait of somebody at the sea"
count = 8
stages = ["source"]
size_px = {SIZE_PX}
shard_size = 4
batch_size = 2
[split]
train = 5
validation = 1
test = 0
"""
PRESET = """
[facepairs]
batch_size = 2
[facepairs.rules]
min_clearness = 40.0
[facepairs.finder]
weights = "{tiny}/deepface-onnx"
[facepairs.inpaint]
model = "{tiny}/{model}"
revision = "tiny"
steps = 20
dtype = "float32"
device = "cpu"
"""


def scene(portrait: np.ndarray, kind: str) -> np.ndarray:
    """A portrait as it is, or shrunk onto black twice, or grey, or blurred."""
    picture = Image.fromarray(portrait)
    if kind == "whole":
        return portrait
    if kind == "none":
        return np.asarray(picture.convert("L").convert("RGB"))
    if kind == "blurred":
        return np.asarray(picture.filter(ImageFilter.GaussianBlur(8)))
    canvas = Image.new("RGB", picture.size)
    quarter = SIZE_PX // 4
    small = picture.resize((quarter,) * 2, Image.Resampling.LANCZOS)
    for left in (quarter // 2, SIZE_PX - 3 * quarter // 2):
        canvas.paste(small, (left, quarter // 2))
    return np.asarray(canvas)


def make_faces_dataset(folder: Path) -> Path:
    """Eight pictures in shards of four, each by its place in its shard one of SCENES."""
    folder.mkdir(parents=True)
    config, dataset = folder / "faces.toml", folder / "faces"
    config.write_text(CONFIG)
    assert plan.main([str(config), "--dataset", "faces", "--out", str(dataset)]) == 0
    make = ProceduralGenerator.make

    def staged(self: ProceduralGenerator, samples: Any, given: Any = None) -> dict[Any, Any]:
        drawn = {stage: pixels.copy() for stage, pixels in make(self, samples, given).items()}
        for place, sample in enumerate(samples):
            drawn["source"][place] = scene(drawn["source"][place], SCENES[sample.index])
        return drawn

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProceduralGenerator, "make", staged)
        assert generate.main(["--here", str(dataset)]) == 0
    return dataset


def write_preset(folder: Path, tiny: Path, model: str = "sd15-inpainting", more: str = "") -> Path:
    """A preset for that dataset with tiny models."""
    path = folder / "facepairs.toml"
    path.write_text(PRESET.format(tiny=tiny, model=model) + more)
    return path


SMALL = f"""
seed = 9
fractions = []
[generator]
kind = "procedural"
[stage.source]
model = "procedural"
revision = "{PAINTER_REVISION}"
[dataset.small]
prompt = "A portrait of somebody at the sea"
count = 32
stages = ["source"]
size_px = 64
shard_size = 8
batch_size = 4
splits = ["train", "validation"]
[split]
train = 2
validation = 1
test = 0
"""
# Two steps of five for every face, as these tests are not about Table 8.
FAST = """
[[facepairs.noise]]
up_to = 1.0
factor = 0.4
"""


def make_small_pairs(folder: Path, tiny: Path) -> Path:
    """Pairs of 64 px of the one face of each picture, in train and validation."""
    config, pictures, out = folder / "small.toml", folder / "pictures", folder / "pairs"
    config.write_text(SMALL)
    assert plan.main([str(config), "--dataset", "small", "--out", str(pictures)]) == 0
    assert generate.main(["--here", str(pictures)]) == 0
    preset = write_preset(folder, tiny, "sd15", FAST)
    words = [str(preset), "--data", str(pictures), "--out", str(out), "--here", "--faces", "1"]
    assert facepairs.main([*words, "--rules.min-clearness", "0", "--inpaint.steps", "5"]) == 0
    return out


def with_unit_latents(sd15: Path, folder: Path) -> Path:
    """The tiny Stable Diffusion with latents about as large as noise, as those of the real one are.

    Those of the tiny one as it is are twenty times smaller, and would be lost in the noise.
    """
    shutil.copytree(sd15, folder)
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    for name in ("quant_conv.weight", "quant_conv.bias"):
        tensors[name][:4] *= 20
    tensors["post_quant_conv.weight"] /= 20
    save_file(tensors, path, {"format": "pt"})
    return folder
