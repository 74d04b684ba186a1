"""Draws what a study shows: samples, rows that meet, catch trials; and spoils a picture for those.

Rows meet equally often, and over different samples. Sides and order are drawn by the page, for each
rater anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from PIL import Image

from schemas.seeds import stable_hash
from schemas.study import SPOILT, Study, Trial

# Blocks of so many parts of a side leave no doubt which picture is the worse one.
_SPOILT_SIDE = 12


def draw_study(
    rows: Sequence[str],
    samples: Sequence[str],
    *,
    question: str,
    num_choices: int,
    num_catch: int,
    num_repeats: int,
    together: int,
    seed: int,
) -> Study:
    """A study of rows over samples that all of them have; the same for the same words and seed."""
    if num_choices < 1 or num_choices + num_catch > len(samples):
        raise ValueError(
            f"--count {num_choices} --catch {num_catch}: there are {len(samples):,} samples, and "
            "no trial shows the same one; ask for fewer"
        )
    if not 0 <= num_repeats <= num_choices:
        raise ValueError(f"--repeat {num_repeats}: should be 0 to --count {num_choices}")
    if num_catch < 0:
        raise ValueError(f"--catch {num_catch}: should be at least 0")
    drawn = sorted(samples, key=lambda one: (stable_hash("study", seed, one), one))
    groups = list(itertools.combinations(range(len(rows)), together))
    rng = np.random.default_rng(seed)
    meeting = [group for _ in range(-(-num_choices // len(groups))) for group in groups]
    order = rng.permutation(num_choices)
    trials = []
    for place in range(num_choices):
        group = [rows[number] for number in meeting[order[place]]]
        trials.append(_trial("choice", drawn[place], group, seed))
    for place in range(num_catch):
        # Every row serves, so that no row is known by being in catch trials.
        row = rows[place % len(rows)]
        trials.append(_trial("catch", drawn[num_choices + place], [row, SPOILT], seed))
    return Study(
        question=question,
        rows=tuple(rows),
        trials=tuple(trials),
        repeats=tuple(trial.id for trial in trials[:num_repeats]),
        together=together,
        seed=seed,
    )


def spoilt(picture: Image.Image) -> Image.Image:
    """The picture in coarse blocks: what a catch trial offers beside it."""
    small = picture.resize((_SPOILT_SIDE, _SPOILT_SIDE), Image.Resampling.BOX)
    return small.resize(picture.size, Image.Resampling.NEAREST)


def _trial(kind: str, sample: str, rows: Sequence[str], seed: int) -> Trial:
    def code(*parts: str) -> str:
        return f"{stable_hash('picture', seed, kind, sample, *parts):014x}"

    # By code, so that the order in the file tells nothing either.
    pictures = dict(sorted((code(row), row) for row in rows))
    return Trial(id=code(), kind=kind, sample=sample, pictures=pictures)  # type: ignore[arg-type]
