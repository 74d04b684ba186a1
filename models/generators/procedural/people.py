"""Who is in a picture: the attributes that are its truth, and the looks that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.generators.procedural.chance import Floats, Seeds, choose, seed_array, uniform
from schemas.seeds import stable_hash
from schemas.truth import ETHNICITIES, GENDERS, HAIR_STYLES

# Shares of attributes as the paper's Table 1 gives them, without and with a name in the prompt. The
# ethnicities are in the paper's order, which is ETHNICITIES; shares need not sum to 1.
_SHARES = {
    "gender": ((0.73, 0.27), (0.60, 0.40)),
    "age": ((0.61, 0.39, 0.0), (0.40, 0.58, 0.02)),
    "ethnicity": ((0.12, 0.01, 0.01, 0.26, 0.02, 0.59), (0.10, 0.05, 0.04, 0.08, 0.02, 0.70)),
}
_AGE_RANGES = np.array([(18, 31), (31, 51), (51, 80)], np.float32)
# How often the same prompt gives the same attribute, whatever the seed.
NAME_EFFECT = 0.75
# Baseline prompts have no name to depend on; all named prompts share their beginning with none.
_UNNAMED = ("A professional business portrait",)

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
        (0.62, 0.34, 0.17),
        (0.86, 0.70, 0.42),
    ],
    np.float32,
)
_GREY = np.array((0.78, 0.78, 0.79), np.float32)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """One entry per picture; colours are RGB in 0..1, lengths in half pictures."""

    gender: npt.NDArray[np.intp]
    age: npt.NDArray[np.intp]
    age_group: npt.NDArray[np.intp]
    ethnicity: npt.NDArray[np.intp]
    hair_style: npt.NDArray[np.intp]
    beard: Floats
    glasses: Floats
    wrinkles: Floats
    skin_tone: Floats
    skin: Floats
    hair: Floats
    iris: Floats
    lips: Floats
    clothes: Floats
    shirt: Floats
    background: Floats
    light: Floats
    collar: npt.NDArray[np.intp]
    shift_x: Floats
    shift_y: Floats
    width: Floats
    height: Floats
    jaw: Floats
    eye_gap: Floats
    eye_size: Floats
    eye_tilt: Floats
    brow: Floats
    nose: Floats
    mouth: Floats
    smile: Floats
    hair_volume: Floats
    parting: Floats


def draw_people(prompts: Sequence[str], seeds: Sequence[int]) -> People:
    """The person of each prompt and seed, whoever else is in the batch."""
    seed = seed_array(seeds)
    prompt = seed_array([stable_hash("prompt", prompt) for prompt in prompts])
    named = np.array([prompt not in _UNNAMED for prompt in prompts], np.intp)
    attributes = {what: _attribute(what, seed, prompt, named) for what in _SHARES}
    gender, group, ethnicity = attributes["gender"], attributes["age"], attributes["ethnicity"]
    low, high = _AGE_RANGES[group].T
    age = (low + uniform(_source("age", seed, prompt), "years") * (high - low)).astype(np.intp)
    return _looks(seed, gender, age, group, ethnicity)


def _source(what: str, seed: Seeds, prompt: Seeds) -> Seeds:
    """Where an attribute comes from: mostly the prompt, else the seed."""
    by_prompt = uniform(seed, f"{what} by prompt") < np.float32(NAME_EFFECT)
    return np.where(by_prompt, prompt, seed)


def _attribute(
    what: str, seed: Seeds, prompt: Seeds, named: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    source = np.where(named == 1, _source(what, seed, prompt), seed)
    return choose(source, what, np.array(_SHARES[what], np.float32)[named])


def _looks(
    seed: Seeds,
    gender: npt.NDArray[np.intp],
    age: npt.NDArray[np.intp],
    group: npt.NDArray[np.intp],
    ethnicity: npt.NDArray[np.intp],
) -> People:
    woman = (gender == GENDERS.index("woman")).astype(np.float32)
    man = 1 - woman
    years = np.clip((age.astype(np.float32) - 18) / 60, 0, 1)
    low, high = _SKIN_RANGE[ethnicity].T
    tone = low + uniform(seed, "skin") * (high - low)
    skin = _along(_SKIN, tone)
    style = _hair_style(seed, gender, age)
    return People(
        gender=gender,
        age=age,
        age_group=group,
        ethnicity=ethnicity,
        hair_style=style,
        beard=man * np.maximum(0, uniform(seed, "beard", -1.1, 0.9)),
        glasses=(uniform(seed, "glasses") < 0.12 + 0.25 * years).astype(np.float32),
        wrinkles=np.maximum(0, years * np.float32(1.5) - np.float32(0.3)),
        skin_tone=tone,
        skin=skin,
        hair=_hair_colour(seed, ethnicity, years),
        iris=_IRIS[_iris(seed, ethnicity)],
        lips=skin * (0.80 - 0.10 * woman)[:, None]
        + np.array((0.10, 0.0, 0.02), np.float32) * (0.7 + 0.9 * woman)[:, None],
        clothes=_CLOTHES[choose(seed, "clothes", np.ones(len(_CLOTHES), np.float32))],
        shirt=0.80 + 0.17 * np.stack([uniform(seed, f"shirt {c}") for c in "rgb"], axis=1),
        background=_BACKGROUND[choose(seed, "background", np.ones(len(_BACKGROUND), np.float32))]
        + uniform(seed, "background brightness", -0.08, 0.06)[:, None],
        light=np.where(uniform(seed, "light side") < 0.5, -1, 1).astype(np.float32)
        * uniform(seed, "light", 0.35, 1.0),
        collar=choose(seed, "collar", np.array((0.4, 0.3, 0.3), np.float32)),
        shift_x=uniform(seed, "shift x", -0.05, 0.05),
        shift_y=uniform(seed, "shift y", -0.04, 0.04),
        width=uniform(seed, "width", 0.355, 0.425) - 0.018 * woman,
        height=uniform(seed, "height", 0.475, 0.535) - 0.012 * woman,
        jaw=uniform(seed, "jaw", 0.0, 0.35) + 0.30 * man,
        eye_gap=uniform(seed, "eye gap", 0.155, 0.18),
        eye_size=uniform(seed, "eye size", 0.066, 0.080) + 0.006 * woman,
        eye_tilt=uniform(seed, "eye tilt", -0.05, 0.12),
        brow=uniform(seed, "brow", 0.012, 0.022) + 0.008 * man,
        nose=uniform(seed, "nose", 0.045, 0.075) + 0.008 * man,
        mouth=uniform(seed, "mouth", 0.105, 0.150),
        smile=uniform(seed, "smile", -0.01, 0.06),
        hair_volume=uniform(seed, "hair volume", 0.045, 0.11) + 0.02 * woman,
        parting=uniform(seed, "parting", -0.6, 0.6),
    )


def _hair_style(
    seed: Seeds, gender: npt.NDArray[np.intp], age: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Bald, short, curly, bob, long; men lose theirs with the years."""
    men = np.array((0.10, 0.62, 0.20, 0.02, 0.06), np.float32)
    women = np.array((0.0, 0.12, 0.18, 0.25, 0.45), np.float32)
    shares = np.where((gender == GENDERS.index("woman"))[:, None], women, men)
    older = np.maximum(0, (age - 40).astype(np.float32)) / 40
    shares[:, HAIR_STYLES.index("bald")] *= 1 + 3 * older
    return choose(seed, "hair style", shares)


def _hair_colour(seed: Seeds, ethnicity: npt.NDArray[np.intp], years: Floats) -> Floats:
    white = ethnicity == ETHNICITIES.index("white")
    latino = ethnicity == ETHNICITIES.index("latino hispanic")
    lightest = np.where(white, 1.0, np.where(latino, 0.45, 0.2)).astype(np.float32)
    colour = _along(_HAIR, uniform(seed, "hair") * lightest)
    grey = np.clip((years - uniform(seed, "greying", 0.3, 0.8)) * 3, 0, 0.9).astype(np.float32)
    return colour + grey[:, None] * (_GREY - colour)


def _iris(seed: Seeds, ethnicity: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
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
