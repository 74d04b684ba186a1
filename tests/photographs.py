"""A folder of painted photographs in FFHQ's layout, with files that cannot be used, for tests."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from models.generators.procedural.painter import paint_source
from models.generators.procedural.people import draw_people

PRESET = """
seed = 3
[split]
train = 1
validation = 0
test = 0
[generator]
kind = "folder"
[stage.photo]
model = "painted"
revision = "1"
[dataset.photos]
prompt = ""
count = 8
stages = ["photo"]
size_px = 64
shard_size = 3
"""


def painted(count: int, size_px: int = 96) -> list[Image.Image]:
    """So many different portraits."""
    people = draw_people(["A portrait"] * count, list(range(count)))
    return [Image.fromarray(one) for one in paint_source(people, size_px)]


def write_photographs(folder: Path, count: int = 8, size_px: int = 96) -> Path:
    """Write them as FFHQ's archive has them; the folder."""
    for number, picture in enumerate(painted(count, size_px)):
        path = folder / "images1024x1024" / f"{number // 4 * 1000:05d}" / f"{number:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return folder
