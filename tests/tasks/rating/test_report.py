"""What a study's outcome is told of: rows by their names, whatever codes numbers are told by."""

from __future__ import annotations

import pytest

from schemas.study import Study, Trial
from tasks.rating.outcome import analyse, as_plain_outcome
from tasks.rating.ratings import Rating
from tasks.rating.report import outcome_tables

ROWS = ("source", "target", "ESA", "U-Net")


def study_of(pairs: list[tuple[str, str]]) -> Study:
    trials = tuple(
        Trial(id=f"t{n}", kind="choice", sample=f"s{n}", pictures={"a": one, "b": other})
        for n, (one, other) in enumerate(pairs)
    )
    return Study(question="Which?", rows=ROWS, trials=trials, repeats=(), together=2, seed=0)


def answered(study: Study) -> list[Rating]:
    """Two people, who both choose the first picture of each trial."""
    return [
        Rating(
            rater=rater,
            place=place,
            trial=trial,
            repeat=False,
            shown=("a", "b"),
            order=("a", "b"),
            seconds=2.0,
        )
        for rater in ("Ann", "Bo")
        for place, trial in enumerate(study.trials)
    ]


def test_rows_that_nothing_connects_are_named() -> None:
    study = study_of([("target", "source"), ("ESA", "U-Net")])
    told = r"^ratings: row 'ESA' was never compared with 'source', not even through others; gather"
    with pytest.raises(ValueError, match=told):
        analyse(study, answered(study), {}, min_catch=0.8, draws=10)


def test_wins_are_told_by_names() -> None:
    study = study_of([("target", "source"), ("ESA", "U-Net"), ("target", "ESA")])
    found = analyse(study, answered(study), {}, min_catch=0.8, draws=10)
    assert as_plain_outcome(found)["wins"] == {
        "source": {"target": 0, "ESA": 0, "U-Net": 0},
        "target": {"source": 2, "ESA": 2, "U-Net": 0},
        "ESA": {"source": 0, "target": 0, "U-Net": 2},
        "U-Net": {"source": 0, "target": 0, "ESA": 0},
    }
    (wins,) = (one for one in outcome_tables(found) if one.title == "Who was chosen over whom")
    assert wins.rows[1] == ("target", "2 of 2", "-", "2 of 2", "0 of 0")
