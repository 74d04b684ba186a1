"""What raters handed in: their files, checked against the study, as judgements.

Nothing is dropped without being told: a file of another study, an answer that was not asked for or
a place that is answered twice in two ways is an error; equal copies are counted once.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metrics.preference import Judgements
from schemas.study import SPOILT, Study, Trial

COLUMNS = ("study", "rater", "place", "trial", "repeat", "shown", "order", "seconds", "at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One answer: codes of the pictures from left to right, and from best to worst."""

    rater: str
    place: int
    trial: Trial
    repeat: bool
    shown: tuple[str, ...]
    order: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterFacts:
    """What is known of one rater's care; shares are None where nothing tells."""

    rater: str
    num_answers: int
    num_catch: int
    catch_right: float | None
    repeats_alike: float | None
    median_seconds: float
    kept: bool


def read_ratings(study: Study, files: Sequence[Path]) -> list[Rating]:
    """Every answer of every file, in the order of raters and places."""
    trials = {trial.id: trial for trial in study.trials}
    found: dict[tuple[str, int], tuple[Rating, str]] = {}
    for path in files:
        for where, told in _lines(path):
            rating = _rating(study, trials, told, where)
            key = rating.rater, rating.place
            earlier = found.get(key)
            if earlier is not None and earlier[0] != rating:
                raise ValueError(
                    f"{where}: {rating.rater}'s answer {rating.place} is another one in "
                    f"{earlier[1]}; two people may have taken one name: give each their own"
                )
            found.setdefault(key, (rating, where))
    return [found[key][0] for key in sorted(found)]


def rater_facts(ratings: Iterable[Rating], min_catch: float) -> list[RaterFacts]:
    """What is known of each rater; kept are those who got enough of the catch trials right."""
    told = []
    for rater, given in itertools.groupby(ratings, key=lambda one: one.rater):
        answers = list(given)
        catch = [_best(one) != SPOILT for one in answers if one.trial.kind == "catch"]
        right = sum(catch) / len(catch) if catch else None
        told.append(
            RaterFacts(
                rater=rater,
                num_answers=len(answers),
                num_catch=len(catch),
                catch_right=right,
                repeats_alike=_repeats_alike(answers),
                median_seconds=float(np.median([one.seconds for one in answers])),
                kept=right is None or right >= min_catch,
            )
        )
    return told


def judgements(
    ratings: Iterable[Rating], study: Study, raters: Sequence[str]
) -> tuple[Judgements, list[str]]:
    """Choices between rows by some raters, first answers alone; and the samples by their code."""
    row_code = {row: code for code, row in enumerate(study.rows)}
    rater_code = {rater: code for code, rater in enumerate(raters)}
    samples = sorted({trial.sample for trial in study.trials})
    sample_code = {sample: code for code, sample in enumerate(samples)}
    rows = [
        (
            row_code[one.trial.pictures[better]],
            row_code[one.trial.pictures[worse]],
            rater_code[one.rater],
            sample_code[one.trial.sample],
        )
        for one in ratings
        if one.trial.kind == "choice" and not one.repeat and one.rater in rater_code
        for better, worse in itertools.combinations(one.order, 2)
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return (
        Judgements(better=table[:, 0], worse=table[:, 1], rater=table[:, 2], prompt=table[:, 3]),
        samples,
    )


def left_share(ratings: Iterable[Rating], raters: Sequence[str]) -> tuple[int, int]:
    """How often the leftmost picture was the best, and of how many choices."""
    kept = [one for one in ratings if one.trial.kind == "choice" and one.rater in set(raters)]
    return sum(one.order[0] == one.shown[0] for one in kept), len(kept)


def _best(rating: Rating) -> str:
    return rating.trial.pictures[rating.order[0]]


def _repeats_alike(answers: Sequence[Rating]) -> float | None:
    first = {one.trial.id: one for one in answers if not one.repeat}
    alike = [
        one.order[0] == first[one.trial.id].order[0]
        for one in answers
        if one.repeat and one.trial.id in first
    ]
    return sum(alike) / len(alike) if alike else None


def _lines(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"{path}: is no file of ratings; its first line should be the page's own")
    for told in reader:
        where = f"{path}, line {reader.line_num}"
        if None in told or None in told.values():
            raise ValueError(f"{where}: has not {len(COLUMNS)} fields; hand in the file as saved")
        yield where, told


def _rating(study: Study, trials: dict[str, Trial], told: dict[str, str], where: str) -> Rating:
    if told["study"] != study.key():
        raise ValueError(
            f"{where}: study {told['study']!r} is another one than {study.key()!r}; leave that "
            "file out, or give its own study"
        )
    trial = trials.get(told["trial"])
    if trial is None:
        raise ValueError(f"{where}: trial {told['trial']!r} is not in the study")
    shown, order = tuple(told["shown"].split()), tuple(told["order"].split())
    if not sorted(shown) == sorted(order) == sorted(trial.pictures):
        raise ValueError(
            f"{where}: shown {told['shown']!r} and order {told['order']!r} should both name the "
            "pictures of the trial, each once"
        )
    try:
        place, seconds = int(told["place"]), float(told["seconds"])
    except ValueError:
        raise ValueError(
            f"{where}: place {told['place']!r} and seconds {told['seconds']!r} should be numbers"
        ) from None
    if told["repeat"] not in ("0", "1") or not told["rater"] or not 0 <= seconds < float("inf"):
        raise ValueError(f"{where}: should have a rater, repeat 0 or 1, and seconds from 0")
    return Rating(
        rater=told["rater"],
        place=place,
        trial=trial,
        repeat=told["repeat"] == "1",
        shown=shown,
        order=order,
        seconds=seconds,
    )
