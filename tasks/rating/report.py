"""The tables and figures of a study's outcome; computes nothing that is not in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metrics.intervals import wilson
from metrics.preference import Agreement
from tasks.figure_style import COLOURS, INK, new_figure, plain_axes, styled, write_figure
from tasks.rating.outcome import Outcome
from tasks.text_tables import Table, interval, number, percent


def outcome_tables(found: Outcome) -> list[Table]:
    """The tables of an outcome, the one to read first first."""
    told = [_strengths(found), _wins(found), _raters(found)]
    if found.accuracies:
        told.insert(1, _accuracies(found))
    return told


def write_outcome_figures(found: Outcome, folder: Path) -> None:
    """Shares that rows win, and how often each number agrees with people, as PNG and SVG."""
    strong, rows = found.strengths, found.study.rows
    order = np.argsort(-strong.share, kind="stable")
    bars = [(rows[i], strong.share[i], strong.share_low[i], strong.share_high[i]) for i in order]
    _write_bars(bars, "chosen over one of the others, %", folder, "chosen")
    if found.accuracies:
        ranked = sorted(found.accuracies.items(), key=lambda one: -one[1].share)
        bars = [(name, one.share, one.low, one.high) for name, one in ranked]
        if found.agreement is not None:
            people = found.agreement
            bars.insert(0, ("another person", people.share, people.low, people.high))
        _write_bars(bars, "prefers what a person chose, %", folder, "metrics")


def _write_bars(
    bars: Sequence[tuple[str, float, float, float]], says: str, folder: Path, stem: str
) -> None:
    with styled():
        figure = new_figure(0.8 + 0.32 * len(bars))
        axes = figure.subplots()
        for place, (_, middle, low, high) in enumerate(bars):
            axes.plot([100 * low, 100 * high], [place, place], color=COLOURS[0], linewidth=2.2)
            axes.plot(100 * middle, place, "o", color=COLOURS[0], markersize=5)
        axes.axvline(50, color=INK, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(bars)), [name for name, *_ in bars])
        axes.set_ylim(len(bars) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel(f"{says}; dotted: by chance")
        plain_axes(axes)
    write_figure(figure, folder, stem)


def _strengths(found: Outcome) -> Table:
    strong, rows = found.strengths, found.study.rows
    order = np.argsort(-strong.share, kind="stable")
    people = sum(one.kept for one in found.raters)
    alike = found.agreement
    left, total = found.left
    low, high = wilson(left, total)
    told = (
        "Two people who saw the same two pictures chose alike in "
        f"{percent(alike.share)} ({interval(alike.low, alike.high)}) of "
        f"{alike.num_compared:,} cases."
        if alike is not None
        else "No two people saw the same two pictures, so their agreement is not known."
    )
    return Table(
        title=found.study.question,
        head=("row", "chosen over another", "95 % interval", "log-odds"),
        rows=tuple(
            (
                rows[i],
                percent(float(strong.share[i])),
                interval(float(strong.share_low[i]), float(strong.share_high[i])),
                f"{strong.log_strength[i]:+.2f}",
            )
            for i in order
        ),
        num_words=1,
        note=f"Bradley-Terry over {found.num_judgements:,} choices of {people} people; intervals "
        f"resample people and samples together, {found.draws:,} times. {told} The leftmost "
        f"picture was chosen in {percent(left / total)} ({interval(low, high)}).",
    )


def _accuracies(found: Outcome) -> Table:
    ranked = sorted(found.accuracies.items(), key=lambda one: -one[1].share)
    rows = [
        (name, percent(one.share), interval(one.low, one.high), f"{one.num:,}")
        for name, one in ranked
    ]
    if found.agreement is not None:
        people = found.agreement
        rows.insert(
            0,
            (
                "another person",
                percent(people.share),
                interval(people.low, people.high),
                f"{people.num_compared:,}",
            ),
        )
    return Table(
        title="Which numbers agree with people",
        head=("number", "prefers what a person chose", "95 % interval", "choices"),
        rows=tuple(rows),
        num_words=1,
        note="50 % is chance. Another person is no bound: a number that always sides with the many "
        f"agrees with people more often than two of them agree.{_most(found.agreement)}",
    )


def _most(alike: Agreement | None) -> str:
    """The most that any number can reach, where people agree so often with each other.

    If a share q of people chooses one of two pictures, two of them agree in a = q^2 + (1 - q)^2 of
    cases, and a number agrees with them in at most max(q, 1 - q) = (1 + sqrt(2 a - 1)) / 2. That is
    concave in a, so pictures of unlike a have less on average.
    """
    if alike is None:
        return ""
    most = (1 + math.sqrt(max(2 * alike.share - 1, 0))) / 2
    return f" By how often these people agree, at most {percent(most)} can be reached."


def _wins(found: Outcome) -> Table:
    rows = found.study.rows
    return Table(
        title="Who was chosen over whom",
        head=("chosen", *(f"over {row}" for row in rows)),
        rows=tuple(
            (
                row,
                *(
                    "-" if i == j else f"{found.wins[i, j]:.0f} of {_met(found, i, j):.0f}"
                    for j in range(len(rows))
                ),
            )
            for i, row in enumerate(rows)
        ),
        num_words=1,
        note="",
    )


def _met(found: Outcome, one: int, other: int) -> float:
    return float(found.wins[one, other] + found.wins[other, one])


def _raters(found: Outcome) -> Table:
    left_out = sum(not one.kept for one in found.raters)
    return Table(
        title="Who rated",
        head=("rater", "answers", "catch trials right", "chose alike again", "seconds", "counted"),
        rows=tuple(
            (
                one.rater,
                f"{one.num_answers:,}",
                "-" if one.catch_right is None else percent(one.catch_right),
                "-" if one.repeats_alike is None else percent(one.repeats_alike),
                number(one.median_seconds, 1),
                "yes" if one.kept else "no",
            )
            for one in found.raters
        ),
        num_words=1,
        note=f"{left_out} of {len(found.raters)} are not counted: they chose the spoilt picture of "
        "too many catch trials. Seconds: the median of an answer.",
    )
