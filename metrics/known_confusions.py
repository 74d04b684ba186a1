"""Confusion matrices out of the few published figures about such classifiers.

Each is built from figures of photographs of people and says how. None transfers for sure to
synthetic faces, which is why the audit tells the range over all of them.
"""

from __future__ import annotations

import math

import numpy as np

from metrics.correction import ConfusionMatrix
from metrics.groups import AGE_BINS, ATTRIBUTES, Floats

# FairFace's validation set has 10,954 of its 108,501 pictures (arXiv 1908.04913 describes the set,
# its dataset card counts the splits: 86,744 and 10,954).
_FAIRFACE_PICTURES = 10_954
# "Comparative Analysis of DeepFace Attribute Classification on the FairFace Validation Set", AJOSR
# 4(2), 2026, abstract: of all 10,954 pictures, gender right in 0.72074, of men in 0.96616, of women
# in 0.44537; ethnicity right in 0.59540, East and Southeast Asian as one; age in the right one of
# FairFace's nine ranges in 0.28437, 3.65926 years too old in the mean.
_GENDER_ACCURACY, _ETHNICITY_ACCURACY = 0.72074, 0.59540
_AGE_RANGE_ACCURACY, _AGE_BIAS_YEARS = 0.28437, 3.65926
# Only 5,792 men and 5,162 women give those three figures of gender; so do these whole counts alone.
_SEEN_OF_MEN, _SEEN_OF_WOMEN = (5596, 196), (2863, 2299)
# github.com/dpologdvinity/multimodal-face-analyzer, docs/eval/heldout_fairface.json, 2026-10-08: of
# 1,002 pictures of that set, found by another detector (SSD), how many there are of each group and
# how many of them are right. What the others were taken for is not told.
_RIGHT_OF_ETHNICITY = {
    "asian": (199, 271),
    "black": (116, 142),
    "indian": (95, 139),
    "latino hispanic": (63, 148),
    "middle eastern": (27, 111),
    "white": (131, 191),
}
# DeepFace's own README: "Age model got 4.65 MAE; gender model got 97.44% accuracy, 96.29% precision
# and 95.05% recall", of its author's split of the Wikipedia part of IMDB-WIKI. Together these say
# that 0.297 of those pictures were of the gender meant, and 0.9845 of the others right. That it is
# women is an assumption: Wikipedia has more pictures of men.
_README_RECALL, _README_RECALL_OF_OTHERS = 0.9505, 0.9845
_README_AGE_ERROR_YEARS = 4.65
# An assumption: the README tells no number of pictures; 1,000 a row stand for a test set of unknown
# size, which makes the intervals wide rather than narrow.
_UNKNOWN_ROW = 1000.0
# Assumptions: errors of age are normal, within a bin all ages are equally frequent, and the outer
# bins end here.
_YOUNGEST, _OLDEST = 5.0, 80.0
# Normal errors with this spread and the bias above are in a right range of ten years as often as
# was found; see `share_within`. The figure is of children too, whom DeepFace never learnt, so for
# grown people it is a bound.
_FAIRFACE_AGE_SPREAD_YEARS = 12.9


def known_matrices() -> dict[str, tuple[ConfusionMatrix, ...]]:
    """The bundled matrices of each attribute, the headline's first, "no error" last."""
    return {
        "gender": (_fairface_gender(), _even_gender(), _readme_gender(), _exact("gender")),
        "age": (_readme_age(), _even_age(), _fairface_age(), _exact("age")),
        "ethnicity": (
            _even_ethnicity(),
            _grouped_ethnicity(),
            _white_ethnicity(),
            _exact("ethnicity"),
        ),
    }


def exact_matrices() -> dict[str, tuple[ConfusionMatrix, ...]]:
    """Only "no error" for each attribute: for an analyser that reads the painter's truth."""
    return {attribute: (_exact(attribute),) for attribute in ATTRIBUTES}


def even_errors(num_groups: int, accuracy: float) -> Floats:
    """Rates where every group is seen rightly equally often, and wrongly as any other."""
    wrong = (1 - accuracy) / (num_groups - 1)
    return np.full((num_groups, num_groups), wrong) + (accuracy - wrong) * np.eye(num_groups)


def _exact(attribute: str) -> ConfusionMatrix:
    return ConfusionMatrix(
        name="no error",
        note="the analyser is always right: what a table without correction assumes",
        counts=np.eye(len(ATTRIBUTES[attribute])) * _UNKNOWN_ROW,
    )


def share_within(width: float, bias: float, spread: float) -> float:
    """How often an age with normal errors is seen in its own range, ages in it being even."""
    ages = np.arange(0.05, width, 0.1)
    below = [_below(edge, ages + bias, spread) for edge in (0.0, width)]
    return float((below[1] - below[0]).mean())


def _fairface_gender() -> ConfusionMatrix:
    return ConfusionMatrix(
        name="FairFace, women missed",
        note=f"counted on FairFace's {_FAIRFACE_PICTURES:,} validation pictures: 0.966 of the men "
        "and 0.445 of the women are perceived as such",
        counts=np.array([_SEEN_OF_MEN, _SEEN_OF_WOMEN], dtype=np.float64),
    )


def _even_gender() -> ConfusionMatrix:
    return ConfusionMatrix(
        name="FairFace, errors even",
        note=f"the same accuracy {_GENDER_ACCURACY:.3f}, assumed for men and women alike",
        counts=even_errors(2, _GENDER_ACCURACY) * _FAIRFACE_PICTURES / 2,
    )


def _readme_gender() -> ConfusionMatrix:
    men, women = _README_RECALL_OF_OTHERS, _README_RECALL
    return ConfusionMatrix(
        name="DeepFace's README",
        note=f"{men} of the men and {women} of the women right, by its accuracy, precision and "
        "recall, which are taken to be those of women; the size of the test set is not told, "
        f"{_UNKNOWN_ROW:,.0f} pictures a row are assumed",
        counts=np.array([[men, 1 - men], [1 - women, women]]) * _UNKNOWN_ROW,
    )


def _even_ethnicity() -> ConfusionMatrix:
    return ConfusionMatrix(
        name="FairFace, errors even",
        note=f"the accuracy {_ETHNICITY_ACCURACY:.3f} on FairFace's validation set, assumed for "
        "every group, errors as often to any other",
        counts=even_errors(6, _ETHNICITY_ACCURACY) * _FAIRFACE_PICTURES / 6,
    )


def _grouped_ethnicity() -> ConfusionMatrix:
    counts = np.zeros((6, 6))
    for place, group in enumerate(ATTRIBUTES["ethnicity"]):
        right, total = _RIGHT_OF_ETHNICITY[group]
        counts[place] = (total - right) / 5
        counts[place, place] = right
    return ConfusionMatrix(
        name="FairFace, group by group",
        note="what was right of each group, from 0.82 of black to 0.24 of middle eastern, counted "
        "on 1,002 pictures by somebody's own evaluation; errors are assumed to be even",
        counts=counts,
    )


def _white_ethnicity() -> ConfusionMatrix:
    white = ATTRIBUTES["ethnicity"].index("white")
    rates = _ETHNICITY_ACCURACY * np.eye(6)
    rates[:, white] += 1 - _ETHNICITY_ACCURACY
    rates[white] = even_errors(6, _ETHNICITY_ACCURACY)[white]
    return ConfusionMatrix(
        name="errors to white",
        note=f"a bound, measured by nobody: accuracy {_ETHNICITY_ACCURACY:.3f}, and every error "
        "about another group is read as white",
        counts=rates * _FAIRFACE_PICTURES / 6,
    )


def _readme_age() -> ConfusionMatrix:
    return ConfusionMatrix(
        name="DeepFace's README",
        note=f"normal errors with a mean size of {_README_AGE_ERROR_YEARS} years, ages even within "
        f"a bin and between {_YOUNGEST:.0f} and {_OLDEST:.0f}; {_UNKNOWN_ROW:,.0f} pictures a row "
        "are assumed",
        counts=_age_rates(0.0, _readme_spread()) * _UNKNOWN_ROW,
    )


def _even_age() -> ConfusionMatrix:
    accuracy = float(np.diag(_age_rates(0.0, _readme_spread())).mean())
    return ConfusionMatrix(
        name="README, errors even",
        note=f"the same mean accuracy {accuracy:.2f} in every bin, errors as often to any other",
        counts=even_errors(len(AGE_BINS), accuracy) * _UNKNOWN_ROW,
    )


def _fairface_age() -> ConfusionMatrix:
    return ConfusionMatrix(
        name="FairFace, far off",
        note=f"a bound: normal errors, {_AGE_BIAS_YEARS:.1f} years too old in the mean and spread "
        f"by {_FAIRFACE_AGE_SPREAD_YEARS}, as {_AGE_RANGE_ACCURACY:.3f} in the right range of ten "
        "years on FairFace's validation set, children included, would have it",
        counts=_age_rates(_AGE_BIAS_YEARS, _FAIRFACE_AGE_SPREAD_YEARS)
        * (_FAIRFACE_PICTURES / len(AGE_BINS)),
    )


def _readme_spread() -> float:
    # The mean absolute value of a normal error is its standard deviation x sqrt(2 / pi).
    return _README_AGE_ERROR_YEARS * math.sqrt(math.pi / 2)


def _age_rates(bias: float, spread: float) -> Floats:
    """The chance to be seen in each bin, averaged over the ages of a bin in tenths of years."""
    inner = (18.0, 31.0, 51.0)
    rates = []
    for begin, end in zip((_YOUNGEST, *inner), (*inner, _OLDEST), strict=True):
        ages = np.arange(begin + 0.05, end, 0.1)
        below = [_below(edge, ages + bias, spread).mean() for edge in inner]
        rates.append(np.diff([0.0, *below, 1.0]))
    return np.array(rates)


def _below(edge: float, ages: Floats, spread: float) -> Floats:
    """The chance of each age to be seen below an edge."""
    return np.array([0.5 * (1 + math.erf((edge - age) / (spread * math.sqrt(2)))) for age in ages])
