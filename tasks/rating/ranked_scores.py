"""Numbers of single pictures for the comparison with people: face scores, or any other's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from metrics.groups import Floats
from shards.encoding import read_parquet
from shards.gathering import ROWS
from tasks.rating.people_rankings import Rankings
from tasks.rating.picture_numbers import Numbers, read_numbers

_HOW = (
    "should be NAME=TABLE, a CSV or parquet file with the columns row, sample and a number, or "
    "NAME=ROW:FOLDER,ROW:FOLDER with a folder of relume facescore score for each row"
)


def read_scores(
    words: Sequence[str], rows: Sequence[str], lower_is_better: Sequence[str]
) -> dict[str, Mapping[tuple[str, str], float]]:
    """Numbers by (row, sample) under the names that were given, larger being better."""
    found: dict[str, Mapping[tuple[str, str], float]] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not (name and equals and place):
            raise ValueError(f"--scores {word}: {_HOW}")
        if name in found:
            raise ValueError(f"--scores {word}: {name} is there already; name them apart")
        found[name] = _scores(name, place, rows)
    for name in lower_is_better:
        if name not in found:
            raise ValueError(f"--lower-is-better {name}: --scores has {', '.join(found)}")
        found[name] = {key: -value for key, value in found[name].items()}
    return found


def as_array(values: Mapping[tuple[str, str], float], rankings: Rankings) -> Floats:
    """The number of each ranked picture, (T, K); NaN where it has none."""
    return np.array(
        [
            [values.get((rankings.rows[model], sample), np.nan) for model in models]
            for sample, models in zip(rankings.samples, rankings.models, strict=True)
        ],
        dtype=np.float64,
    )


def _scores(name: str, place: str, rows: Sequence[str]) -> Mapping[tuple[str, str], float]:
    path = Path(place)
    if path.is_file():
        numbers: Numbers = read_numbers(path, rows, ())
        if len(numbers) == 1:
            return next(iter(numbers.values()))
        if name in numbers:
            return numbers[name]
        raise ValueError(
            f"--scores {name}={place}: has the numbers {', '.join(numbers)}; give it one of "
            "their names"
        )
    if ":" not in place:
        raise ValueError(f"--scores {name}={place}: {place}: no such file; {_HOW}")
    found: dict[tuple[str, str], float] = {}
    for part in place.split(","):
        row, colon, folder = part.partition(":")
        if not (row and colon and folder):
            raise ValueError(f"--scores {name}={place}: {_HOW}")
        if row not in rows:
            raise ValueError(f"--scores {name}={place}: row {row!r}: people ranked {_and(rows)}")
        found |= {(row, sample): score for sample, score in _folder(name, folder).items()}
    return found


def _folder(name: str, told: str) -> dict[str, float]:
    """The score of each sample in a folder of scores; a file's is named by its stem."""
    place, _, stage = told.partition(":")
    path = Path(place) / ROWS
    if not path.is_file():
        raise ValueError(f"--scores {name}: {path} is missing; make it with relume facescore score")
    rows = read_parquet(path).to_pylist()
    stages = sorted({str(row["stage"]) for row in rows if row["stage"] is not None})
    if stage and stage not in stages:
        raise ValueError(f"--scores {name}: {path} has the stages {_and(stages) or 'of files'}")
    if len(stages) > 1 and not stage:
        raise ValueError(f"--scores {name}: {path} has {_and(stages)}; say ROW:{place}:{stages[0]}")
    found: dict[str, float] = {}
    for row in rows:
        if stage and row["stage"] != stage:
            continue
        sample = row["id"] if row["stage"] is not None else Path(row["id"]).stem
        if sample in found:
            raise ValueError(f"--scores {name}: {path} has two pictures of {sample}")
        # A picture without a face has no score, which is a gap and not a 0.
        found[sample] = np.nan if row["score"] is None else row["score"]
    return found


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)
