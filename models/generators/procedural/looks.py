"""How somebody looks: the colours, shapes and styles that go with gender, age and ethnicity."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.generators.procedural.chance import Floats, Seeds, choose, uniform
from schemas.truth import ETHNICITIES, GENDERS, HAIR_STYLES

Whole = npt.NDArray[np.intp]

# Skin from the lightest to the darkest, as RGB in 0..1, and where each ethnicity lies on it.
_SKIN = np.array(
    [
        (0.98, 0.85, 0.76),
        (0.93, 0.75, 0.62),
        (0.83, 0.62, 0.47),
        (0.63, 0.43, 0.31),
        (0.42, 0.28, 0.20),
    ],
    np.float32,
)
_SKIN_RANGE = np.array(
    [(0.15, 0.42), (0.72, 1.0), (0.48, 0.78), (0.3, 0.58), (0.34, 0.56), (0.0, 0.3)], np.float32
)
_HAIR = np.array(
    [
        (0.09, 0.08, 0.09),
        (0.23, 0.15, 0.11),
        (0.42, 0.27, 0.16),
        (0.58, 0.33, 0.17),
        (0.72, 0.52, 0.29),
        (0.88, 0.74, 0.48),
    ],
    np.float32,
)
_GREY = np.array((0.71, 0.71, 0.72), np.float32)
_IRIS = np.array(
    [(0.25, 0.15, 0.09), (0.38, 0.26, 0.14), (0.31, 0.42, 0.29), (0.33, 0.47, 0.62)], np.float32
)
_CLOTHES = np.array(
    [
        (0.16, 0.19, 0.27),
        (0.29, 0.31, 0.34),
        (0.48, 0.19, 0.20),
        (0.20, 0.36, 0.33),
        (0.56, 0.47, 0.37),
        (0.30, 0.40, 0.58),
        (0.74, 0.70, 0.66),
        (0.36, 0.26, 0.40),
        (0.76, 0.55, 0.26),
        (0.72, 0.40, 0.36),
        (0.46, 0.54, 0.42),
        (0.86, 0.85, 0.82),
        (0.11, 0.11, 0.13),
    ],
    np.float32,
)
_BACKGROUND = np.array(
    [
        (0.72, 0.76, 0.80),
        (0.80, 0.77, 0.71),
        (0.55, 0.63, 0.66),
        (0.40, 0.44, 0.50),
        (0.68, 0.72, 0.64),
        (0.76, 0.66, 0.62),
        (0.58, 0.58, 0.70),
    ],
    np.float32,
)


# What a seed alone decides, evenly between two ends; lengths in half pictures, the rest in shares.
_RANGES = {
    "beard_length": (0.0, 1.0),
    "earring": (0.0, 1.0),
    "shift_x": (-0.05, 0.05),
    "shift_y": (-0.04, 0.04),
    "width": (0.345, 0.425),
    "height": (0.470, 0.535),
    "jaw": (-0.10, 0.50),
    "chin": (0.0, 0.55),
    "cheek": (-0.07, 0.08),
    "shoulders": (-0.10, 0.12),
    "ear": (0.13, 0.20),
    "eye_gap": (0.155, 0.182),
    "eye_size": (0.070, 0.086),
    "eye_open": (0.50, 0.74),
    "eye_level": (0.030, 0.085),
    "eye_tilt": (-0.08, 0.14),
    "lashes": (0.006, 0.009),
    "crease": (0.05, 0.22),
    "brow": (0.011, 0.021),
    "brow_arch": (0.6, 3.6),
    "brow_height": (0.082, 0.112),
    "brow_tilt": (-0.10, 0.16),
    "nose": (0.048, 0.078),
    "nose_length": (0.26, 0.35),
    "mouth": (0.105, 0.155),
    "smile": (-0.012, 0.060),
    "teeth": (-0.024, 0.016),
    "upper_lip": (0.012, 0.026),
    "lower_lip": (0.018, 0.036),
    "hair_volume": (0.045, 0.125),
    "hair_length": (0.0, 1.0),
    "hair_wave": (-0.05, 0.06),
    "hairline": (0.48, 0.66),
    "fringe": (-0.6, 1.0),
    "parting": (-0.55, 0.55),
    "curl_down": (0.0, 1.0),
    "curl_across": (0.0, 1.0),
    "grain_down": (0.0, 1.0),
    "grain_across": (0.0, 1.0),
}


def looks_of(seed: Seeds, gender: Whole, age: Whole, ethnicity: Whole) -> dict[str, Any]:
    """All that the seed adds to the attributes, by the names of the fields of People."""
    woman = (gender == GENDERS.index("woman")).astype(np.float32)
    years = np.clip((age.astype(np.float32) - 18) / 60, 0, 1)
    looks: dict[str, Any] = {
        name: uniform(seed, name, low, high) for name, (low, high) in _RANGES.items()
    }
    looks |= _colours(seed, woman, ethnicity, years)
    looks |= _choices(seed, gender, age, woman, years)
    _adapt(looks, woman, years, ethnicity)
    return looks


def _colours(seed: Seeds, woman: Floats, ethnicity: Whole, years: Floats) -> dict[str, Any]:
    low, high = _SKIN_RANGE[ethnicity].T
    tone = low + uniform(seed, "skin") * (high - low)
    skin = _along(_SKIN, tone)
    hair = _hair_colour(seed, ethnicity, years)
    painted = woman * uniform(seed, "lipstick")
    red = np.array((0.10, -0.02, 0.02), np.float32)
    colour = _BACKGROUND[choose(seed, "background", np.ones(len(_BACKGROUND), np.float32))]
    return {
        "skin_tone": tone,
        "skin": skin,
        "hair": hair,
        "brow_colour": hair * np.float32(0.52) + np.float32(0.02),
        "iris": _IRIS[_iris(seed, ethnicity)],
        "lips": skin * (0.80 - 0.14 * painted)[:, None] + red * (0.6 + 1.1 * painted)[:, None],
        "clothes": _CLOTHES[choose(seed, "clothes", np.ones(len(_CLOTHES), np.float32))],
        "shirt": 0.80 + 0.17 * np.stack([uniform(seed, f"shirt {c}") for c in "rgb"], axis=1),
        "background": colour + uniform(seed, "background brightness", -0.08, 0.06)[:, None],
    }


def _choices(
    seed: Seeds, gender: Whole, age: Whole, woman: Floats, years: Floats
) -> dict[str, Any]:
    collars = np.where(
        woman[:, None] == 1, (0.22, 0.28, 0.22, 0.12, 0.16), (0.40, 0.22, 0.24, 0.12, 0.02)
    )
    side = np.where(uniform(seed, "light side") < 0.5, -1, 1).astype(np.float32)
    return {
        "hair_style": _hair_style(seed, gender, age),
        "collar": choose(seed, "collar", collars.astype(np.float32)),
        "beard_shape": choose(seed, "beard shape", np.array((0.6, 0.25, 0.15), np.float32)),
        "beard": (1 - woman) * np.maximum(0, uniform(seed, "beard", -1.0, 1.0)),
        "glasses": (uniform(seed, "glasses") < 0.12 + 0.25 * years).astype(np.float32),
        "wrinkles": np.maximum(0, years * np.float32(1.5) - np.float32(0.2)),
        "freckles": np.maximum(0, uniform(seed, "freckles", -3, 1)),
        "stripes": np.maximum(0, uniform(seed, "stripes", -0.5, 0.22)),
        "light": side * uniform(seed, "light", 0.35, 1.0),
    }


def _adapt(looks: dict[str, Any], woman: Floats, years: Floats, ethnicity: Whole) -> None:
    """What gender and age change in a shape."""
    man = 1 - woman
    looks["width"] -= 0.014 * woman
    looks["height"] -= 0.012 * woman
    looks["jaw"] += 0.30 * man
    looks["chin"] *= 0.35 + 0.65 * man
    looks["shoulders"] -= 0.08 * woman
    looks["eye_size"] += 0.006 * woman
    looks["lashes"] += 0.006 * woman
    looks["brow"] += 0.008 * man
    looks["brow_height"] += 0.008 * woman
    looks["brow_tilt"] -= 0.06 * man
    looks["nose"] += 0.008 * man
    looks["upper_lip"] += 0.005 * woman
    looks["lower_lip"] += 0.005 * woman
    looks["hair_volume"] += 0.015 * woman
    looks["earring"] = np.where(looks["earring"] < 0.45 * woman, np.float32(1), np.float32(0))
    looks["hairline"] += 0.22 * man * np.maximum(0, years - np.float32(0.3))
    looks["parting"] *= np.where(np.abs(looks["parting"]) < 0.15, np.float32(0), np.float32(1))
    looks["hair_wave"] = np.maximum(0, looks["hair_wave"])
    looks["teeth"] = np.maximum(0, looks["teeth"]) * (looks["smile"] > 0.012)
    # Narrower, flatter lids and fuller lips occur everywhere, in some groups more often.
    asian = (ethnicity == ETHNICITIES.index("asian")).astype(np.float32)
    black = (ethnicity == ETHNICITIES.index("black")).astype(np.float32)
    looks["eye_open"] -= 0.08 * asian
    looks["crease"] *= 1 - 0.8 * asian
    looks["upper_lip"] += 0.008 * black
    looks["lower_lip"] += 0.008 * black
    looks["nose"] += 0.010 * black
    looks["freckles"] *= np.clip(1.3 - looks["skin_tone"] * 2, 0, 1)


def _hair_style(seed: Seeds, gender: Whole, age: Whole) -> Whole:
    """Bald, short, curly, bob, long, tied; men lose theirs with the years."""
    men = np.array((0.11, 0.60, 0.18, 0.03, 0.05, 0.03), np.float32)
    women = np.array((0.0, 0.10, 0.18, 0.22, 0.32, 0.18), np.float32)
    shares = np.where((gender == GENDERS.index("woman"))[:, None], women, men)
    older = np.maximum(0, (age - 40).astype(np.float32)) / 40
    shares[:, HAIR_STYLES.index("bald")] *= 1 + 3 * older
    return choose(seed, "hair style", shares)


def _hair_colour(seed: Seeds, ethnicity: Whole, years: Floats) -> Floats:
    white = ethnicity == ETHNICITIES.index("white")
    latino = ethnicity == ETHNICITIES.index("latino hispanic")
    lightest = np.where(white, 1.0, np.where(latino, 0.45, 0.2)).astype(np.float32)
    colour = _along(_HAIR, uniform(seed, "hair") * lightest)
    grey = np.clip((years - uniform(seed, "greying", 0.3, 0.8)) * 3, 0, 0.9).astype(np.float32)
    return colour + grey[:, None] * (_GREY - colour)


def _iris(seed: Seeds, ethnicity: Whole) -> Whole:
    white = (ethnicity == ETHNICITIES.index("white"))[:, None]
    light, dark = (0.25, 0.25, 0.2, 0.3), (0.7, 0.25, 0.05, 0.0)
    return choose(seed, "iris", np.where(white, light, dark).astype(np.float32))


def _along(colours: Floats, place: Floats) -> Floats:
    """The colour at a place in 0..1 on a line of colours."""
    at = np.clip(place, 0, 1) * np.float32(len(colours) - 1)
    lower = np.minimum(at.astype(np.intp), len(colours) - 2)
    rest = (at - lower.astype(np.float32))[:, None]
    mixed: Floats = colours[lower] + rest * (colours[lower + 1] - colours[lower])
    return mixed
