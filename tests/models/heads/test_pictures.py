"""Pictures that strangers made: upright, in sRGB, with their alpha; and what is wrong with them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from models.heads.pictures import (
    MOST_PIXELS,
    Prepared,
    opened,
    prepared,
    prepared_file,
    shown_as,
    written_picture,
)

ROWS, COLUMNS = np.mgrid[0:30, 0:42]
LEVELS = np.stack([COLUMNS * 6, ROWS * 8, (ROWS + COLUMNS) * 3], 2).astype(np.uint8)
PICTURE = Image.fromarray(LEVELS)


def as_file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    # Pillow keeps a kind's options at the image, and another kind stumbles over them.
    image.copy().save(file, kind, **options)
    return file.getvalue()


def read(data: bytes) -> Prepared:
    return prepared_file(opened(data))


def swapped_profile() -> bytes:
    """sRGB, but red and green change places: nobody can mistake it."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", made[128:132])[0]
    places = {made[p : p + 4].decode(): p for p in range(132, 132 + 12 * count, 12)}
    red, green = places["rXYZ"], places["gXYZ"]
    made[red + 4 : red + 12], made[green + 4 : green + 12] = (
        made[green + 4 : green + 12],
        made[red + 4 : red + 12],
    )
    place, length = struct.unpack(">II", made[places["desc"] + 4 : places["desc"] + 12])
    told = made[place : place + length].replace(
        "sRGB".encode("utf-16-be"), "swap".encode("utf-16-be")
    )
    made[place : place + length] = told
    return bytes(made)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_upright(orientation: int) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    lying = PICTURE.transpose(turns[orientation]) if orientation in turns else PICTURE
    exif = Image.Exif()
    exif[274] = orientation
    assert np.array_equal(read(as_file(lying, exif=exif)).levels, LEVELS)


def test_alpha_is_kept_of_every_kind() -> None:
    alpha = (COLUMNS * 6).astype(np.uint8)
    with_alpha = Image.fromarray(np.dstack([LEVELS, alpha]))
    found = read(as_file(with_alpha))
    assert np.array_equal(found.levels, LEVELS)
    assert found.alpha is not None
    assert np.array_equal(found.alpha, alpha)
    for kind in ("png", "webp"):
        again = read(written_picture(found, found.levels, kind))  # type: ignore[arg-type]
        assert again.alpha is not None
        assert np.array_equal(again.alpha, alpha)
        assert np.array_equal(again.levels[alpha > 0], LEVELS[alpha > 0])
    with pytest.raises(ValueError, match="JPEG cannot hold; use --format png"):
        written_picture(found, found.levels, "jpeg")
    grey = Image.merge("LA", [PICTURE.convert("L"), Image.fromarray(alpha)])
    assert np.array_equal(read(as_file(grey)).alpha, alpha)  # type: ignore[arg-type]
    palette = as_file(PICTURE.convert("P"), transparency=3)
    assert read(palette).alpha is not None
    assert read(as_file(PICTURE)).alpha is None


def test_colours_of_a_profile_become_srgb_and_are_said() -> None:
    found = read(as_file(PICTURE, icc_profile=swapped_profile()))
    (note,) = found.notes
    assert note.startswith("colours of swap")
    # Red and green have changed places, and the two profiles round differently.
    assert np.abs(found.levels[..., [1, 0, 2]].astype(int) - LEVELS).max() <= 2
    written = written_picture(found, found.levels, "png")
    assert read(written).notes == ()
    assert "icc_profile" in Image.open(io.BytesIO(written)).info
    assert written == written_picture(found, found.levels, "png")
    assert "icc_profile" not in Image.open(io.BytesIO(as_file(PICTURE))).info


def test_a_profile_that_cannot_be_used_is_said() -> None:
    found = read(as_file(PICTURE, icc_profile=b"nonsense"))
    assert np.array_equal(found.levels, LEVELS)
    assert "its colour profile cannot be used" in found.notes[0]
    # A profile of three colours on a picture of one.
    grey = read(as_file(PICTURE.convert("L"), icc_profile=swapped_profile()))
    assert grey.levels.shape == LEVELS.shape


def test_cmyk_is_taken_and_said() -> None:
    found = read(as_file(PICTURE.convert("CMYK"), "TIFF"))
    assert "CMYK without a profile" in found.notes[0]
    assert np.abs(found.levels.astype(int) - LEVELS).max() <= 2


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA"])
def test_other_modes_become_rgb(mode: str) -> None:
    given = PICTURE.convert(mode)
    assert np.array_equal(read(as_file(given)).levels, np.asarray(given.convert("RGB")))


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("grey", [False, True])
def test_sixteen_bits_are_said(ending: str, grey: bool) -> None:
    deep = LEVELS[..., 0].astype(np.uint16) * 257 if grey else LEVELS.astype(np.uint16) * 257
    data = cv2.imencode(ending, deep if grey else deep[..., ::-1])[1].tobytes()
    found = read(data)
    assert found.notes == ("16 bits a channel became 8",)
    wanted = np.dstack([LEVELS[..., 0]] * 3) if grey else LEVELS
    assert np.array_equal(found.levels, wanted)


def bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def wide() -> bytes:
    data = bytearray(bomb())
    data[16:24] = struct.pack(">II", 25_000, 25_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8))
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty; get it again"),
    "text": (lambda: b"hello", "is no picture that Pillow knows"),
    "cut png": (lambda: as_file(NOISE)[:3000], "is damaged: .*; get it again"),
    "cut jpeg": (lambda: as_file(NOISE, "JPEG")[:900], "is damaged: .*; get it again"),
    # These fail before there is an image: each decoder in a way of its own.
    "cut webp": (lambda: as_file(NOISE, "WEBP")[:900], "is damaged: .*; get it again"),
    "cut in its head": (lambda: as_file(NOISE, "JPEG")[:100], "is damaged: .*; get it again"),
    "cut behind a frame": (lambda: as_file(NOISE, "GIF")[:-1] + b"!", "is damaged: .*; get it"),
    "no width": (
        lambda: as_file(NOISE, "TIFF").replace(b"\x00\x01\x04", b"\x00\x01\x05", 1),
        "is damaged: .*; get it again",
    ),
    "flipped": (
        lambda: as_file(NOISE)[:3000] + b"\x00\xff" + as_file(NOISE)[3002:],
        "is damaged: .*; get it again",
    ),
    "gif": (
        lambda: as_file(NOISE, "GIF", save_all=True, append_images=[PICTURE]),
        "holds 2 frames of an animation; take single pictures",
    ),
    "apng": (
        lambda: as_file(NOISE, "PNG", save_all=True, append_images=[NOISE.rotate(90)]),
        "holds 2 frames of an animation",
    ),
    "pages": (
        lambda: as_file(NOISE, "TIFF", save_all=True, append_images=[PICTURE]),
        "holds 2 pages; take single pictures",
    ),
    "bomb": (bomb, f"too many pixels; at most {MOST_PIXELS:,}"),
    "wide": (wide, "has 25000 x 25000 px; at most"),
    "floats": (
        lambda: as_file(Image.fromarray(LEVELS[..., 0].astype(np.float32)), "TIFF"),
        "holds F values, not levels",
    ),
    "lab": (lambda: as_file(PICTURE.convert("LAB"), "TIFF"), "holds LAB values"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_is_said_with_its_mend(kind: str) -> None:
    make, told = BAD[kind]
    with pytest.raises(ValueError, match=told):
        read(make())


def test_a_cameras_two_views_are_one_picture() -> None:
    data = as_file(NOISE, "MPO", save_all=True, append_images=[NOISE])
    assert read(data).levels.shape == (60, 60, 3)


def test_files_of_every_kind() -> None:
    plain = Prepared(LEVELS)
    for kind in ("png", "webp"):
        assert np.array_equal(read(written_picture(plain, LEVELS, kind)).levels, LEVELS)  # type: ignore[arg-type]
    jpeg = read(written_picture(plain, LEVELS, "jpeg"))
    assert np.abs(jpeg.levels.astype(int) - LEVELS).mean() < 3
    long = np.zeros((1, 16_384, 3), np.uint8)
    with pytest.raises(ValueError, match="is 16384 x 1 px, webp holds 16,383; use --format png"):
        written_picture(plain, long, "webp")


def test_levels_stay_levels() -> None:
    assert prepared(LEVELS).levels is LEVELS
    assert shown_as(LEVELS, LEVELS, None) is LEVELS
    alpha = np.full(LEVELS.shape[:2], 7, np.uint8)
    assert shown_as(PICTURE, LEVELS, alpha).mode == "RGBA"
