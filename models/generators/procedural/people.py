"""Who is in a picture: the attributes that are its truth, drawn from its prompt and its seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.generators.procedural.chance import Floats, Seeds, choose, seed_array, uniform
from models.generators.procedural.looks import looks_of
from schemas.seeds import stable_hash

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


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """One entry per picture; colours are RGB in 0..1, lengths in half pictures."""

    gender: npt.NDArray[np.intp]
    age: npt.NDArray[np.intp]
    age_group: npt.NDArray[np.intp]
    ethnicity: npt.NDArray[np.intp]
    hair_style: npt.NDArray[np.intp]
    collar: npt.NDArray[np.intp]
    beard_shape: npt.NDArray[np.intp]
    beard: Floats
    beard_length: Floats
    glasses: Floats
    wrinkles: Floats
    freckles: Floats
    skin_tone: Floats
    skin: Floats
    hair: Floats
    brow_colour: Floats
    iris: Floats
    lips: Floats
    clothes: Floats
    shirt: Floats
    background: Floats
    light: Floats
    stripes: Floats
    earring: Floats
    shift_x: Floats
    shift_y: Floats
    width: Floats
    height: Floats
    jaw: Floats
    chin: Floats
    cheek: Floats
    shoulders: Floats
    ear: Floats
    eye_gap: Floats
    eye_size: Floats
    eye_open: Floats
    eye_level: Floats
    eye_tilt: Floats
    lashes: Floats
    crease: Floats
    brow: Floats
    brow_arch: Floats
    brow_height: Floats
    brow_tilt: Floats
    nose: Floats
    nose_length: Floats
    mouth: Floats
    smile: Floats
    teeth: Floats
    upper_lip: Floats
    lower_lip: Floats
    hair_volume: Floats
    hair_length: Floats
    hair_wave: Floats
    hairline: Floats
    fringe: Floats
    parting: Floats
    curl_down: Floats
    curl_across: Floats
    grain_down: Floats
    grain_across: Floats


def draw_people(prompts: Sequence[str], seeds: Sequence[int]) -> People:
    """The person of each prompt and seed, whoever else is in the batch."""
    seed = seed_array(seeds)
    prompt = seed_array([stable_hash("prompt", prompt) for prompt in prompts])
    named = np.array([prompt not in _UNNAMED for prompt in prompts], np.intp)
    attributes = {what: _attribute(what, seed, prompt, named) for what in _SHARES}
    gender, group, ethnicity = attributes["gender"], attributes["age"], attributes["ethnicity"]
    low, high = _AGE_RANGES[group].T
    age = (low + uniform(_source("age", seed, prompt), "years") * (high - low)).astype(np.intp)
    return People(
        gender=gender,
        age=age,
        age_group=group,
        ethnicity=ethnicity,
        **looks_of(seed, gender, age, ethnicity),
    )


def _source(what: str, seed: Seeds, prompt: Seeds) -> Seeds:
    """Where an attribute comes from: mostly the prompt, else the seed."""
    by_prompt = uniform(seed, f"{what} by prompt") < np.float32(NAME_EFFECT)
    return np.where(by_prompt, prompt, seed)


def _attribute(
    what: str, seed: Seeds, prompt: Seeds, named: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    source = np.where(named == 1, _source(what, seed, prompt), seed)
    return choose(source, what, np.array(_SHARES[what], np.float32)[named])
