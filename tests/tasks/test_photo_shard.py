"""Photographs become squares in sRGB; what cannot is a failed row, what is gone fails the lease."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from schemas.endings import CannotGoOn
from schemas.lease import Lease
from shards.plan import planned_samples
from shards.reader import Reader
from shards.run import read_planned
from tasks.making import making_of
from tasks.photo_shard import PhotoConfig, PhotoShard, middle_square, photo_levels
from tests.photographs import PRESET, painted
from workflows import generate, plan

LANCZOS = Image.Resampling.LANCZOS


def as_bytes(picture: Image.Image, kind: str = "png", **options: Any) -> bytes:
    sink = io.BytesIO()
    picture.save(sink, kind, **options)
    return sink.getvalue()


def plan_of(folder: Path, count: int) -> Path:
    config = folder.parent / "photos.toml"
    config.write_text(PRESET)
    dataset = folder.parent / "dataset"
    argv = [str(config), "--dataset", "photos", "--pictures", str(folder), "--out", str(dataset)]
    assert plan.main([*argv, "--dataset.count", str(count), "--dataset.shard-size", "99"]) == 0
    return dataset


def rows(dataset: Path) -> dict[str, dict[str, Any]]:
    table = pq.read_table(dataset / "manifest.parquet")
    return {row["id"]: row for row in table.to_pylist()}


def test_the_square_is_the_middle_and_an_odd_pixel_goes_from_the_end() -> None:
    levels = np.zeros((4, 9, 3), np.uint8)
    levels[:, 2:6] = 200
    assert (middle_square(levels, 4, LANCZOS) == 200).all()
    assert (middle_square(levels.transpose(1, 0, 2).copy(), 4, LANCZOS) == 200).all()
    assert middle_square(levels, 8, LANCZOS).shape == (8, 8, 3)


def test_resizing_is_the_named_filter_on_the_square_alone() -> None:
    picture = painted(1)[0].resize((160, 96))
    levels = photo_levels(as_bytes(picture), 64, 64, LANCZOS)
    square = picture.crop((32, 0, 128, 96))
    assert np.array_equal(levels, np.asarray(square.resize((64, 64), LANCZOS)))
    other = photo_levels(as_bytes(picture), 64, 64, Image.Resampling.BOX)
    assert np.array_equal(other, np.asarray(square.resize((64, 64), Image.Resampling.BOX)))
    assert not np.array_equal(levels, other)


def test_a_turned_photograph_is_upright() -> None:
    picture = painted(1)[0].crop((0, 0, 96, 64))
    turned = Image.Exif()
    turned[0x0112] = 6
    data = as_bytes(picture.transpose(Image.Transpose.ROTATE_90), exif=turned)
    assert np.array_equal(
        photo_levels(data, 64, 64, LANCZOS), photo_levels(as_bytes(picture), 64, 64, LANCZOS)
    )


def test_other_colours_become_srgb() -> None:
    cmyk = Image.new("CMYK", (80, 80), (0, 255, 255, 0))
    red = photo_levels(as_bytes(cmyk, "jpeg", quality=95), 64, 64, LANCZOS)[30, 30]
    assert red[0] > 240
    assert red[1:].max() < 15
    grey = Image.new("L", (80, 80), 120)
    assert photo_levels(as_bytes(grey), 64, 64, LANCZOS).shape == (64, 64, 3)


def see_through() -> bytes:
    picture = painted(1)[0].convert("RGBA")
    picture.putpixel((3, 3), (0, 0, 0, 10))
    return as_bytes(picture)


def animated() -> bytes:
    first, second = painted(2)
    return as_bytes(first, "webp", save_all=True, append_images=[second])


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.png": (lambda: b"", "photo is empty"),
    "cut.png": (
        lambda: as_bytes(painted(1)[0])[:2000],
        "photo is damaged: image file is truncated",
    ),
    "no.jpg": (lambda: b"<html>no picture</html>", "photo is no picture that Pillow knows"),
    "moves.webp": (animated, "photo holds 2 frames of an animation"),
    "small.png": (
        lambda: as_bytes(painted(1)[0].resize((63, 200))),
        "photo is smaller than 64 px on its shorter side",
    ),
    "glass.png": (see_through, "photo has transparent parts, behind which nobody knows what is"),
    "night.jpg": (lambda: as_bytes(Image.new("RGB", (80, 80)), "jpeg"), "photo is black"),
    "deep.png": (
        lambda: as_bytes(Image.fromarray(np.full((80, 80), 70_000, np.int32)), "tiff"),
        "photo holds I values, not levels of RGB, grey or CMYK",
    ),
}


def test_what_cannot_be_used_is_a_row_with_its_reason(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, (data, _) in BAD.items():
        (folder / name).write_bytes(data())
    (folder / "good.webp").write_bytes(as_bytes(painted(1)[0], "webp", lossless=True))
    dataset = plan_of(folder, len(BAD) + 1)
    assert generate.main([str(dataset), "--here"]) == 1
    found = rows(dataset)
    assert {name: found[Path(name).stem]["reason"] for name in BAD} == {
        name: found[Path(name).stem]["reason"]
        for name, (_, why) in BAD.items()
        if str(found[Path(name).stem]["reason"]).startswith(why)
    }
    assert found["good"]["status"] == "ok"
    reader = Reader(dataset)
    with Image.open(io.BytesIO(reader.read(0, "photo", check=True))) as picture:
        assert picture.format == "PNG"
        assert np.array_equal(
            np.asarray(picture), np.asarray(painted(1)[0].resize((64, 64), LANCZOS))
        )


def worker_of(dataset: Path, folder: Path) -> tuple[PhotoShard, Lease]:
    run, table = read_planned(dataset)
    assert run.photos is not None
    record = making_of(run.config, run.plan.sha256, photos=run.photos)
    worker = PhotoShard(PhotoConfig(str(dataset), str(folder), run.photos, run.config, record))
    shard, samples = next(planned_samples(table))
    return worker, Lease(shard=shard, attempt=1, samples=samples)


def test_a_file_that_changed_fails_the_lease_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, picture in enumerate(painted(3)):
        picture.save(folder / f"{number}.png")
    dataset = plan_of(folder, 3)
    worker, lease = worker_of(dataset, folder)
    worker.setup()
    kept = (folder / "1.png").read_bytes()
    (folder / "1.png").write_bytes(kept + b" ")
    with pytest.raises(ValueError, match=r"1\.png: has .* when it was planned; put the planned"):
        worker.run(lease, nullcontext())
    assert not list(dataset.glob(".staging/*"))
    (folder / "1.png").write_bytes(kept)
    assert worker.run(lease, nullcontext()).done.ok == 3


def test_a_folder_that_is_not_there_ends_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    painted(1)[0].save(folder / "a.png")
    dataset = plan_of(folder, 1)
    worker, lease = worker_of(dataset, folder)
    worker.setup()
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(CannotGoOn, match=r"sees no folder .*photographs; mount it there"):
        worker.run(lease, nullcontext())
    with pytest.raises(CannotGoOn, match="sees no folder"):
        worker_of(dataset, folder)[0].setup()


def test_what_decides_the_pixels_stands_in_the_record(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    painted(1)[0].save(folder / "a.png")
    run, _ = read_planned(plan_of(folder, 1))
    record = making_of(run.config, run.plan.sha256, photos=run.photos)
    assert run.photos is not None
    assert record.models["photo"].weights == {"photos.parquet": run.photos.sha256}
    assert record.numerics == {
        "upright": "exif", "colours": "srgb", "crop": "middle square", "resampling": "lanczos",
        "smallest_px": 64, "size_px": 64,
    }  # fmt: skip
