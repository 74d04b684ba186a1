"""Pictures that strangers made: read upright in sRGB, written with what belongs to them.

What a head cannot take in is said, never passed over: a note where the picture is changed, a
ValueError where it cannot be used.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from schemas.enhance import Format

Levels = NDArray[np.uint8]
Shown = TypeVar("Shown", Levels, Image.Image)
# 1.5 GB of levels: a square of 20,000 px, and hardly a bomb.
MOST_PIXELS = 500_000_000
_OPTIONS: dict[Format, dict[str, Any]] = {
    # zlib's fastest level: a third of the default's time for 3 % more bytes.
    "png": {"compress_level": 1},
    "jpeg": {"quality": 95, "subsampling": 0},
    "webp": {"lossless": True, "method": 0},
}
_COLOURS = {"GRAY": "L", "CMYK": "CMYK", "RGB": "RGB"}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture as a head takes it."""

    levels: Levels
    """(height, width, 3), upright, sRGB"""
    alpha: Levels | None = None
    """(height, width), where it has one"""
    profiled: bool = False
    """whether it said which colours it means, as what is written should then say too"""
    notes: tuple[str, ...] = ()
    """what was changed on the way in"""


def opened(data: bytes) -> Image.Image:
    """The picture in these bytes, not decoded yet; ValueError says why it cannot be used."""
    if not data:
        raise ValueError("is empty; get it again")
    # Pillow's own limit is that of a whole process, and lower.
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data))
            _refuse(image)
        except UnidentifiedImageError:
            raise ValueError("is no picture that Pillow knows; save it as PNG") from None
        except Image.DecompressionBombError:
            raise ValueError(_too_large("too many pixels")) from None
        except Exception as error:
            raise _told_as_damage(error) from None
    return image


def prepared(picture: Levels | Image.Image) -> Prepared:
    """A picture as a head takes it; ValueError where it holds no levels of 0 to 255."""
    if not isinstance(picture, Image.Image):
        return Prepared(picture)
    notes: list[str] = []
    deep = any(";16" in str(tile) for tile in getattr(picture, "tile", ()))
    profile = picture.info.get("icc_profile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture.load()
        upright = ImageOps.exif_transpose(picture)
    if deep or upright.mode.startswith("I;16"):
        notes.append("16 bits a channel became 8")
    if upright.mode.startswith("I;16"):
        upright = Image.fromarray(_eight_bits(np.asarray(upright)))
    if upright.mode in ("I", "F", "LAB", "HSV", "YCbCr"):
        raise ValueError(
            f"holds {upright.mode} values, not levels of RGB, grey or CMYK; save it as such with "
            "8 bits a channel"
        )
    alpha = None
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        alpha = np.array(upright.getchannel("A"))
    levels = np.array(_in_srgb(upright, profile, notes))
    return Prepared(levels, alpha, bool(profile), tuple(notes))


def shown_as(like: Shown, levels: Levels, alpha: Levels | None) -> Shown:
    """Levels as the kind of picture that was given."""
    if not isinstance(like, Image.Image):
        return levels
    return _image(levels, alpha)


def prepared_file(image: Image.Image) -> Prepared:
    """An opened picture, decoded; ValueError says what is wrong with it, and the mend."""
    try:
        return prepared(image)
    except Exception as error:
        raise _told_as_damage(error) from None


def opaque_levels(picture: Prepared) -> Levels:
    """Its levels; ValueError where it has transparent parts, behind which nobody knows what is."""
    if picture.alpha is not None and picture.alpha.min() < 255:
        raise ValueError("has transparent parts, behind which nobody knows what is")
    return picture.levels


def written_picture(picture: Prepared, levels: Levels, kind: Format) -> bytes:
    """The bytes of a file with these levels and what else the picture had.

    ValueError where this kind of file cannot hold it.
    """
    height, width = levels.shape[:2]
    most = {"png": 2**31 - 1, "jpeg": 65_500, "webp": 16_383}[kind]
    if max(height, width) > most:
        raise ValueError(f"is {width} x {height} px, {kind} holds {most:,}; use --format png")
    if picture.alpha is not None and kind == "jpeg":
        raise ValueError("has an alpha channel, which JPEG cannot hold; use --format png")
    profile = {"icc_profile": _srgb_profile()} if picture.profiled else {}
    file = io.BytesIO()
    _image(levels, picture.alpha).save(file, kind, **_OPTIONS[kind], **profile)
    return file.getvalue()


def _told_as_damage(error: Exception) -> ValueError:
    """What a decoder said of a file; errors of a dozen decoders have no base in common."""
    told = str(error).strip().partition("\n")[0] or type(error).__name__
    if isinstance(error, ValueError) and ";" in told:  # our own, which names its mend
        return error
    return ValueError(f"is damaged: {told}; get it again")


def _image(levels: Levels, alpha: Levels | None) -> Image.Image:
    return Image.fromarray(levels if alpha is None else np.dstack([levels, alpha]))


def _refuse(image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    # A camera's MPO is a photograph with a second view or a preview behind it.
    if frames > 1 and image.format != "MPO":
        what = "pages" if image.format == "TIFF" else "frames of an animation"
        raise ValueError(f"holds {frames} {what}; take single pictures out of it")
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ValueError(_too_large(f"{width} x {height} px"))


def _too_large(what: str) -> str:
    return f"has {what}; at most {MOST_PIXELS:,} pixels go through, so cut it into parts"


def _eight_bits(values: NDArray[Any]) -> Levels:
    levels: Levels = np.rint(values.astype(np.float32) / 257).astype(np.uint8)
    return levels


def _in_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """The colours as sRGB, which heads are trained in."""
    if profile:
        try:
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            name = ImageCms.getProfileDescription(given).strip()
            if "sRGB" not in name:
                mode = _COLOURS[given.profile.xcolor_space.strip()]
                plain = image if image.mode == mode else image.convert(mode)
                converted = ImageCms.profileToProfile(plain, given, _srgb(), outputMode="RGB")
                assert converted is not None
                notes.append(f"colours of {name} became sRGB")
                return converted
        except (ImageCms.PyCMSError, OSError, KeyError) as error:
            notes.append(f"its colour profile cannot be used ({error}), so colours may be off")
    elif image.mode == "CMYK":
        notes.append("CMYK without a profile became RGB by rule of thumb, so colours may be off")
    return image.convert("RGB")


@cache
def _srgb() -> Any:
    return ImageCms.createProfile("sRGB")


@cache
def _srgb_profile() -> bytes:
    made = bytearray(ImageCms.ImageCmsProfile(_srgb()).tobytes())
    # Its date, so that the same picture is always the same bytes.
    made[24:36] = bytes(12)
    return bytes(made)
