"""Numbers of single pictures, by row and sample, to be compared with people's choices."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from shards.encoding import read_parquet

_KEYS = ("row", "sample")
Numbers = Mapping[str, Mapping[tuple[str, str], float]]


def read_numbers(path: Path, rows: Sequence[str], lower_is_better: Sequence[str]) -> Numbers:
    """Each number by (row, sample), larger being better; from a CSV or parquet file.

    Its columns are row, sample, and a number each; those named in `lower_is_better` are turned.
    """
    told = _csv_rows(path) if path.suffix == ".csv" else read_parquet(path).to_pylist()
    columns = list(told[0]) if told else []
    names = [name for name in columns if name not in _KEYS]
    if not set(_KEYS) <= set(columns) or not names:
        raise ValueError(f"{path}: should have the columns row, sample, and one for each number")
    for name in lower_is_better:
        if name not in names:
            raise ValueError(f"--lower-is-better {name}: {path} has {', '.join(names)}")
    unknown = {str(one["row"]) for one in told} - set(rows)
    if unknown == {str(one["row"]) for one in told}:
        raise ValueError(f"{path}: row {sorted(unknown)[0]!r}: the study has {', '.join(rows)}")
    found: dict[str, dict[tuple[str, str], float]] = {name: {} for name in names}
    for line, one in enumerate(told, 2):
        key = str(one["row"]), str(one["sample"])
        for name in names:
            if key in found[name]:
                raise ValueError(f"{path}: {key[0]} of {key[1]} is there twice")
            sign = -1.0 if name in lower_is_better else 1.0
            found[name][key] = sign * _number(one[name], f"{path}, row {line}: {name}")
    return found


def _csv_rows(path: Path) -> list[dict[str, str]]:
    try:
        return list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None


def _number(told: object, where: str) -> float:
    if told is None or told == "":
        return math.nan
    try:
        return float(told)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"{where} = {told!r}: should be a number") from None
