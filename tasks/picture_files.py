"""Pictures in files that strangers made: read upright in sRGB, written with what belongs to them.

What a head cannot take in is said, never passed over: a note where the picture is changed, a
ValueError where it cannot be used.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

Levels = NDArray[np.uint8]
Format = Literal["png", "jpeg", "webp"]
# More would be a decompression bomb, or want more memory than a laptop has.
MOST_PIXELS = 200_000_000
_OPTIONS = {
    "png": {"compress_level": 4},
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"lossless": True, "method": 0},
}
_DEEP = {"I;16", "I;16B", "I;16L", "I", "F"}


@dataclass(frozen=True, slots=True)
class FilePicture:
    """A picture out of a file."""

    levels: Levels
    """(height, width, 3), upright, sRGB"""
    alpha: Levels | None
    """(height, width), where the file has it"""
    notes: list[str] = field(default_factory=list)
    """what was changed on the way in"""


def read_picture(data: bytes) -> FilePicture:
    """The picture in these bytes; ValueError says what is wrong with them."""
    try:
        with warnings.catch_warnings():
            # Size is judged below, by a limit of our own.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            _refuse(image)
            image.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot be read as a picture: {error}") from None
    notes: list[str] = []
    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP:
        notes.append("16 bits a channel became 8")
        image = _eight_bits(image)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
    rgb = _in_srgb(image, notes)
    return FilePicture(np.array(rgb), alpha, notes)


def written_picture(levels: Levels, alpha: Levels | None, kind: Format) -> bytes:
    """The bytes of a file of this kind; what JPEG cannot hold is refused."""
    if alpha is not None and kind == "jpeg":
        raise ValueError("has an alpha channel, which JPEG cannot hold; use --format png")
    image = Image.fromarray(levels if alpha is None else np.dstack([levels, alpha]))
    file = io.BytesIO()
    image.save(file, kind, **_OPTIONS[kind])
    return file.getvalue()


def _refuse(image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise ValueError(f"is an animation of {frames} frames; take single pictures out of it")
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"has {width} x {height} px; at most {MOST_PIXELS:,} in all, so cut it into parts"
        )


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image, np.float64)
    # Floats are shares; integers of Pillow's mode I come from files of 16 bits.
    values = values * 255 if image.mode == "F" else values / 257
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _in_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """The colours as sRGB, which heads are trained in."""
    profile = image.info.get("icc_profile")
    mode = image.mode if image.mode in ("RGB", "CMYK", "L") else "RGB"
    plain = image if image.mode == mode else image.convert(mode)
    if profile:
        try:
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            name = ImageCms.getProfileDescription(given).strip()
            if "sRGB" not in name:
                converted = ImageCms.profileToProfile(
                    plain, given, ImageCms.createProfile("sRGB"), outputMode="RGB"
                )
                assert converted is not None
                notes.append(f"colours of {name} became sRGB")
                return converted
        except ImageCms.PyCMSError as error:
            notes.append(f"its colour profile cannot be used ({error}); taken as sRGB")
    elif mode == "CMYK":
        notes.append("CMYK without a profile became RGB by rule of thumb")
    return plain.convert("RGB")
