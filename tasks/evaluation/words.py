"""The words and numbers that tables and figures of an evaluation share."""

from __future__ import annotations

from collections.abc import Mapping

from metrics.subsampling import Estimate
from models.published_files import MEASURES
from schemas.measure import FRECHET
from tasks.evaluation.evaluation import Evaluation
from tasks.evaluation.rows import FLAGS
from tasks.text_tables import number

# In the order of the flags; the first marks another source.
_MARKS = dict(zip(FLAGS, ("\u2020", "\u2021", "\u00a7"), strict=True))
OTHER_WEIGHTS = "The weights are not the published ones, so this is no FID that anybody else tells."
PROCEDURAL = "Procedural portraits: this tests the instrument and stands beside no number of FLUX."


def named(told: Evaluation, row: str) -> str:
    """A row's name with the marks of its flags."""
    flags = told.rows.get(row, {}).get("flags", [])
    return row + "".join(f" {_MARKS[one]}" for one in flags)


def distance_name(told: Evaluation, what: str) -> str:
    """What a distance of this network and tap is called."""
    label, _, tap = what.partition("/")
    name = FRECHET[told.networks[label]["network"]["kind"]]
    policy = told.networks[label]["network"].get("policy")
    if policy is None:
        return name
    other = "" if is_published(told.networks[label]["weights"]) else ", other weights"
    return f"{name} (tap {tap}, {policy}{other})"


def is_published(weights: Mapping[str, str]) -> bool:
    """Whether Inception's weights are those that FID is told with."""
    wanted = MEASURES["inception"][0]
    return all(one.startswith(wanted.sha256) for one in weights.values())


def within(one: Estimate | None, decimals: int = 2) -> str:
    """A value with its interval of 95 %."""
    if one is None:
        return "no gap"
    low, high = number(one.low, decimals), number(one.high, decimals)
    return f"{number(one.value, decimals)} ({low} to {high})"


def marks(told: Evaluation) -> str:
    """What the marks that are used mean."""
    used = {flag for row in told.rows.values() for flag in row["flags"]}
    return " ".join(f"{_MARKS[flag]} {FLAGS[flag]}." for flag in FLAGS if flag in used)


def decimals(value: float) -> int:
    """Decimals that leave about three digits."""
    return 1 if value >= 100 else 2 if value >= 10 else 3 if value >= 1 else 4


def sentence(words: str) -> str:
    """Words as a sentence of a note."""
    text = words.strip()
    return (text[0].upper() + text[1:]).rstrip(".") + "."
