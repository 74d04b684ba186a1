"""Table 1 of the paper: its printed shares, its form, and what they say when read with care."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metrics.evenness import effective_groups, normalised_entropy, rounding_range
from metrics.groups import ATTRIBUTES, UNDER_18, Codes

# Printed in section 3.2. The ethnicity shares sum to 1.01 and to 0.99; "50+" is read as 51+.
PAPER_SHARES: dict[str, dict[str, tuple[float, ...]]] = {
    "Baseline": {
        "gender": (0.73, 0.27),
        "age": (0.61, 0.39, 0.0),
        "ethnicity": (0.12, 0.01, 0.01, 0.26, 0.02, 0.59),
    },
    "Enhanced": {
        "gender": (0.60, 0.40),
        "age": (0.40, 0.58, 0.02),
        "ethnicity": (0.10, 0.05, 0.04, 0.08, 0.02, 0.70),
    },
}
PAPER_HEAD = (
    "Prompt",
    "Perceived Gender\nM : F",
    "P. Age\n18-30 : 31-50 : 50+",
    "P. Dominant Ethnicity\nAsian : Black : Indian : Latino : Middle Eastern : White",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reread:
    """How even printed shares are: least and most are over all that round to them."""

    prompt: str
    attribute: str
    printed: tuple[float, ...]
    printed_sum: float
    normalised_entropy: float
    effective_groups: float
    # Of shares of all pictures, which sum to 1.
    least: float
    most: float
    # Of any shares within the rounding, normalised afterwards.
    least_any_sum: float
    most_any_sum: float


def reread_paper() -> list[Reread]:
    """The re-analysis of the paper's own Table 1."""
    return [
        reread(prompt, attribute, printed)
        for prompt, attributes in PAPER_SHARES.items()
        for attribute, printed in attributes.items()
    ]


def reread(prompt: str, attribute: str, printed: tuple[float, ...]) -> Reread:
    """Evenness of shares printed with two decimals, and the range that rounding leaves."""
    least, most = rounding_range(printed)
    least_any_sum, most_any_sum = rounding_range(printed, sum_to_one=False)
    return Reread(
        prompt=prompt,
        attribute=attribute,
        printed=printed,
        printed_sum=round(sum(printed), 2),
        normalised_entropy=normalised_entropy(printed),
        effective_groups=effective_groups(printed),
        least=least,
        most=most,
        least_any_sum=least_any_sum,
        most_any_sum=most_any_sum,
    )


def paper_groups(attribute: str, counts: ArrayLike) -> Codes:
    """The counts of the groups that the paper has: without those who seem under 18."""
    every = np.asarray(counts)
    kept = [group != UNDER_18 for group in ATTRIBUTES[attribute]]
    return every[..., kept]


def paper_row(prompt: str, counts: dict[str, Codes]) -> tuple[str, ...]:
    """A row of Table 1 in the paper's form, from counts of all groups."""
    cells = []
    for attribute in ATTRIBUTES:
        seen = paper_groups(attribute, counts[attribute])
        total = seen.sum()
        cells.append(" : ".join(f"{one / total:.2f}" if total else "-" for one in seen))
    return (prompt, *cells)
