"""First and last names made of syllables, with the accents, hyphens and quotes of real ones."""

from __future__ import annotations

import random
import unicodedata

import pyarrow as pa

_ONSETS: list[str] = [*"bcdfghjklmnprstvwz", "br", "dr", "gr", "sh", "st", "tr"]
_VOWELS: list[str] = [*"aeiou", "ai", "ea", "ia"]
_CODAS: list[str] = ["", "", "", *"lnrst", "lt", "rt"]
_ACCENTS = {"a": "áàâãåä", "e": "éèêë", "i": "íîï", "o": "óôöø", "u": "úûü", "n": "ñ", "s": "š"}
_OTHER_SCRIPTS = ["Зоран", "Μελίνα", "ليلى", "נועם", "さくら", "지호", "अमन", "Nguyễn"]


def first_names(seed: int) -> pa.Array:
    """Eight thousand first names."""
    rng = random.Random(f"first {seed}")
    names = [_word(rng, rng.choice((1, 2, 2, 3))) for _ in range(8_000)]
    double = [f"{rng.choice(names)}-{rng.choice(names)}" for _ in range(300)]
    return _spelled(rng, names + double + _OTHER_SCRIPTS)


def last_names(seed: int) -> pa.Array:
    """A hundred thousand last names."""
    rng = random.Random(f"last {seed}")
    names = [_word(rng, rng.choice((2, 2, 3))) for _ in range(100_000)]
    for prefix, share in (("O'", 0.01), ("Mc", 0.01), ("de ", 0.02), ("van der ", 0.005)):
        names += [prefix + rng.choice(names) for _ in range(int(share * len(names)))]
    return _spelled(rng, names + _OTHER_SCRIPTS)


def _word(rng: random.Random, syllables: int) -> str:
    parts = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(syllables)]
    return "".join([*parts, rng.choice(_CODAS)]).capitalize()


def _spelled(rng: random.Random, names: list[str]) -> pa.Array:
    """Give one in sixteen an accent, one in eighty as a letter and a combining mark (NFD)."""
    spelled = []
    for name in names:
        chance = rng.random()
        if chance < 0.0625:
            name = "".join(rng.choice(_ACCENTS.get(letter, letter)) for letter in name)
        spelled.append(unicodedata.normalize("NFD", name) if chance < 0.0125 else name)
    rng.shuffle(spelled)
    return pa.array(spelled)
