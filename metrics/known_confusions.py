"""Confusion matrices out of the few published figures about such classifiers.

Each is built from figures of photographs of people and says how. None transfers for sure to
synthetic faces, which is why the audit tells the range over all of them.
"""

from __future__ import annotations

import math

import numpy as np

from metrics.correction import ConfusionMatrix
from metrics.groups import AGE_BINS, ATTRIBUTES, Floats

# Pictures in FairFace's validation set, here dealt evenly to the rows of a matrix.
_FAIRFACE_PICTURES = 10_954
_GENDER_ACCURACY, _FEMALE_RECALL = 0.72, 0.45
_ETHNICITY_ACCURACY = 0.60
# DeepFace's own README gives these without the number of pictures; 1,000 a row stand for a test set
# of unknown size, which makes the intervals wide rather than narrow.
_README_GENDER_ACCURACY, _README_AGE_ERROR_YEARS = 0.9744, 4.65
_UNKNOWN_ROW = 1000.0
# Within a bin all ages are taken to be equally frequent; the outer bins end here.
_YOUNGEST, _OLDEST = 5.0, 80.0


def known_matrices() -> dict[str, tuple[ConfusionMatrix, ...]]:
    """The bundled matrices of each attribute, the headline's first, "no error" last."""
    return {
        "gender": (_fairface_gender(), _even_gender(), _readme_gender(), _exact("gender")),
        "age": (_normal_age(), _even_age(), _exact("age")),
        "ethnicity": (_even_ethnicity(), _white_ethnicity(), _exact("ethnicity")),
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


def _fairface_gender() -> ConfusionMatrix:
    # accuracy = (recall of men + recall of women) / 2 when there are as many of both.
    male = 2 * _GENDER_ACCURACY - _FEMALE_RECALL
    rates = np.array([[male, 1 - male], [1 - _FEMALE_RECALL, _FEMALE_RECALL]])
    return ConfusionMatrix(
        name="FairFace, women missed",
        note=f"accuracy {_GENDER_ACCURACY} with recall {_FEMALE_RECALL} for women on FairFace's "
        f"validation set, as many men as women assumed: recall {male:.2f} for men",
        counts=rates * _FAIRFACE_PICTURES / 2,
    )


def _even_gender() -> ConfusionMatrix:
    return ConfusionMatrix(
        name="FairFace, errors even",
        note=f"accuracy {_GENDER_ACCURACY} for men and women alike",
        counts=even_errors(2, _GENDER_ACCURACY) * _FAIRFACE_PICTURES / 2,
    )


def _readme_gender() -> ConfusionMatrix:
    return ConfusionMatrix(
        name="DeepFace's README",
        note=f"accuracy {_README_GENDER_ACCURACY} for men and women alike; the size of the test "
        f"set is not told, {_UNKNOWN_ROW:,.0f} pictures a row are assumed",
        counts=even_errors(2, _README_GENDER_ACCURACY) * _UNKNOWN_ROW,
    )


def _even_ethnicity() -> ConfusionMatrix:
    return ConfusionMatrix(
        name="FairFace, errors even",
        note=f"accuracy {_ETHNICITY_ACCURACY} in every group on FairFace's validation set, errors "
        "as often to any other group",
        counts=even_errors(6, _ETHNICITY_ACCURACY) * _FAIRFACE_PICTURES / 6,
    )


def _white_ethnicity() -> ConfusionMatrix:
    white = ATTRIBUTES["ethnicity"].index("white")
    rates = _ETHNICITY_ACCURACY * np.eye(6)
    rates[:, white] += 1 - _ETHNICITY_ACCURACY
    rates[white] = even_errors(6, _ETHNICITY_ACCURACY)[white]
    return ConfusionMatrix(
        name="errors to white",
        note=f"a bound, measured by nobody: accuracy {_ETHNICITY_ACCURACY}, and every error about "
        "another group is read as white",
        counts=rates * _FAIRFACE_PICTURES / 6,
    )


def _normal_age() -> ConfusionMatrix:
    return ConfusionMatrix(
        name="DeepFace's README",
        note=f"normal errors with a mean size of {_README_AGE_ERROR_YEARS} years, ages even within "
        f"a bin and between {_YOUNGEST:.0f} and {_OLDEST:.0f}; {_UNKNOWN_ROW:,.0f} pictures a row "
        "are assumed",
        counts=_age_rates() * _UNKNOWN_ROW,
    )


def _even_age() -> ConfusionMatrix:
    accuracy = float(np.diag(_age_rates()).mean())
    return ConfusionMatrix(
        name="README, errors even",
        note=f"the same mean accuracy {accuracy:.2f} in every bin, errors as often to any other",
        counts=even_errors(len(AGE_BINS), accuracy) * _UNKNOWN_ROW,
    )


def _age_rates() -> Floats:
    """The chance to be seen in each bin, averaged over the ages of a bin in tenths of years."""
    inner = (18.0, 31.0, 51.0)
    # The mean absolute value of a normal error is its standard deviation x sqrt(2 / pi).
    scale = _README_AGE_ERROR_YEARS * math.sqrt(math.pi / 2)
    rates = []
    for begin, end in zip((_YOUNGEST, *inner), (*inner, _OLDEST), strict=True):
        ages = np.arange(begin + 0.05, end, 0.1)
        below = [
            np.mean([0.5 * (1 + math.erf((edge - age) / (scale * math.sqrt(2)))) for age in ages])
            for edge in inner
        ]
        rates.append(np.diff([0.0, *below, 1.0]))
    return np.array(rates)
