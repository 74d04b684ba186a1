"""People's rankings of a prompt's pictures, out of a CSV or of a study of `relume rate`.

Nothing is guessed: a ranking with a tie or a gap is left out whole and told, with its place.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from metrics.groups import Codes
from metrics.ranking import whole_rankings
from schemas.study import Study
from tasks.rating.ratings import rater_facts, read_ratings

COLUMNS = ("rater", "sample", "row", "rank")
TIE, GAP, NUMBER = "equal ranks", "pictures without a rank", "ranks that are not 1, 2, 3 and so on"
FEW = "a sample of fewer pictures than most"
MORE = "a sample of more pictures than most"
OTHER = "a row that most rankings of the sample lack"
MIXED = "a sample of which nobody can tell whose rows are meant"


@dataclass(frozen=True, slots=True)
class Given:
    """One rater's ranking of one sample: the rank of each row, 1 for the best, and where it is."""

    rater: str
    sample: str
    ranks: Mapping[str, int]
    where: str
    unranked: tuple[str, ...] = ()
    """rows that were shown and have no rank"""

    @property
    def shown(self) -> set[str]:
        """Every row that the ranking names."""
        return {*self.ranks, *self.unranked}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rankings:
    """Whole rankings (T, raters, K) as labels, the number of pictures for the best, 0 for none."""

    rows: tuple[str, ...]
    samples: tuple[str, ...]
    raters: tuple[str, ...]
    models: Codes
    """code of each picture's row, (T, K)"""
    labels: Codes
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """where rankings were left out, by the reason"""
    strange: dict[str, int] = field(default_factory=dict)
    """rows that only such rankings name, mostly misspelt, and how many do"""

    @property
    def num_raters(self) -> Codes:
        """Raters who ranked each triplet."""
        return np.asarray((self.labels > 0).all(axis=2).sum(axis=1))


def rankings_of(given: Sequence[Given]) -> Rankings:
    """Rankings as arrays, of as many pictures a sample as most have; the others are left out."""
    sizes = Counter(len(one.shown) for one in given)
    many = max(sizes, key=lambda size: (sizes[size], size), default=0)
    if many < 2:
        raise ValueError("rankings: no sample has two ranked pictures; a ranking compares some")
    settled = _settled(given, many)
    samples = tuple(one for one, names in settled.items() if not isinstance(names, str))
    rows = tuple(sorted({row for sample in samples for row in settled[sample]}))
    raters = tuple(sorted({one.rater for one in given}))
    code = {row: number for number, row in enumerate(rows)}
    place = {sample: number for number, sample in enumerate(samples)}
    column = {rater: number for number, rater in enumerate(raters)}
    models = np.array([sorted(code[row] for row in settled[one]) for one in samples])
    labels = np.zeros((len(samples), len(raters), many), dtype=np.int64)
    left_out: dict[str, list[str]] = {}
    for one in given:
        names = settled[one.sample]
        why = names if isinstance(names, str) else _fault(one, names)
        if why is not None:
            left_out.setdefault(why, []).append(f"{one.where}: {one.rater} on {one.sample}")
            continue
        ordered = [rows[number] for number in models[place[one.sample]]]
        labels[place[one.sample], column[one.rater]] = [many + 1 - one.ranks[n] for n in ordered]
    if not labels.any():
        told = ", ".join(f"{len(places):,} with {why}" for why, places in left_out.items())
        raise ValueError(
            f"rankings: none is of use: {told}; see {next(iter(left_out.values()))[0]}"
        )
    # Of whom nothing is left, no table should count.
    heard = (labels > 0).any(axis=(0, 2))
    raters, labels = tuple(np.array(raters)[heard].tolist()), labels[:, heard]
    assert whole_rankings(labels)[(labels > 0).any(axis=2)].all()
    return Rankings(
        rows=rows,
        samples=samples,
        raters=raters,
        models=models.astype(np.int64),
        labels=labels,
        left_out=left_out,
        strange=dict(
            sorted(Counter(row for one in given for row in one.shown if row not in code).items())
        ),
    )


def _settled(given: Sequence[Given], many: int) -> dict[str, tuple[str, ...] | str]:
    """The so many rows of each sample, by most of its rankings; or why it has none.

    One misspelt row among five raters thus costs its own ranking. Where two rows are named as
    often, one that no other sample has gives way; else nobody knows.
    """
    votes: dict[str, Counter[str]] = {}
    least: dict[str, int] = {}
    for one in given:
        votes.setdefault(one.sample, Counter()).update(one.shown)
        least[one.sample] = min(len(one.shown), least.get(one.sample, len(one.shown)))
    samples = Counter(row for counts in votes.values() for row in counts)
    found: dict[str, tuple[str, ...] | str] = {}
    for sample, counts in votes.items():
        weights = {row: (count, samples[row] > 1) for row, count in counts.items()}
        ordered = sorted(weights, key=lambda row: weights[row], reverse=True)
        if len(ordered) < many:
            found[sample] = FEW
        elif least[sample] > many:
            found[sample] = MORE
        elif len(ordered) > many and weights[ordered[many - 1]] == weights[ordered[many]]:
            found[sample] = MIXED
        else:
            found[sample] = tuple(ordered[:many])
    return found


def read_rankings(path: Path) -> list[Given]:
    """Rankings out of a CSV file with the columns rater, sample, row and rank, or more."""
    found: dict[tuple[str, str], tuple[dict[str, int], str, list[str]]] = {}
    for where, told in _lines(path):
        key = told["rater"], told["sample"]
        if not all((*key, told["row"])):
            raise ValueError(f"{where}: should have a rater, a sample and a row")
        ranks, _, unranked = found.setdefault(key, ({}, where, []))
        if told["row"] in ranks or told["row"] in unranked:
            raise ValueError(f"{where}: {key[0]} ranked {told['row']} of {key[1]} twice")
        if told["rank"] == "":
            unranked.append(told["row"])
            continue
        try:
            ranks[told["row"]] = int(told["rank"])
        except ValueError:
            raise ValueError(
                f"{where}: rank {told['rank']!r}: should be 1 for the best, 2, 3, or empty"
            ) from None
    if not found:
        raise ValueError(f"{path}: holds no ranking")
    return [
        Given(rater, sample, ranks, where, tuple(unranked))
        for (rater, sample), (ranks, where, unranked) in found.items()
    ]


def ratings_as_rankings(
    study: Study, files: Sequence[Path], min_catch: float
) -> tuple[list[Given], list[str]]:
    """Rankings that a study of `relume rate` gathered, and raters who are left out.

    First answers alone; those who got too few catch trials right count for nothing.
    """
    ratings = read_ratings(study, files)
    facts = rater_facts(ratings, min_catch)
    kept = {one.rater for one in facts if one.kept}
    given = [
        Given(
            one.rater,
            one.trial.sample,
            {one.trial.pictures[code]: number for number, code in enumerate(one.order, 1)},
            f"answer {one.place}",
        )
        for one in ratings
        if one.trial.kind == "choice" and not one.repeat and one.rater in kept
    ]
    if not given:
        raise ValueError(
            f"ratings: of {len(facts)} raters {len(kept)} passed the catch trials, with no "
            "ranking among them; gather more"
        )
    return given, [one.rater for one in facts if not one.kept]


def _fault(given: Given, names: Sequence[str]) -> str | None:
    """Why this is no ranking of these pictures; None where it is one."""
    ranks = given.ranks
    rules: tuple[tuple[str, Callable[[], bool]], ...] = (
        (OTHER, lambda: not given.shown <= set(names)),
        (GAP, lambda: any(name not in ranks for name in names)),
        (TIE, lambda: len(set(ranks.values())) < len(ranks)),
        (NUMBER, lambda: sorted(ranks.values()) != list(range(1, len(names) + 1))),
    )
    return next((why for why, broken in rules if broken()), None)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    reader = csv.DictReader(text.splitlines())
    if not set(COLUMNS) <= set(reader.fieldnames or ()):
        raise ValueError(f"{path}: should have the columns {', '.join(COLUMNS)}")
    for told in reader:
        where = f"{path}, line {reader.line_num}"
        if any(told[one] is None for one in COLUMNS):
            raise ValueError(f"{where}: has too few fields")
        yield where, {one: told[one].strip() for one in COLUMNS}
