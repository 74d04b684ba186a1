"""What one step left to be shown: tables and figures out of its report.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.report_place import FIGURES, REPORT
from tasks.text_tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A step's report."""

    folder: Path
    tables: tuple[Table, ...]
    figures: Mapping[str, str]
    # Everything that the file holds, for numbers by name.
    plain: Mapping[str, Any]

    def table(self, title: str) -> list[Table]:
        """The tables of this title."""
        return [one for one in self.tables if one.title == title]


def read_told(folder: Path) -> Told | None:
    """The report of a step; None where there is none."""
    try:
        plain = json.loads((folder / REPORT).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{folder / REPORT}: is no JSON ({error}); make it again") from None
    return Told(
        folder=folder,
        tables=tuple(_table(one) for one in plain.get("tables", ())),
        figures={Path(one["file"]).stem: one["alt"] for one in plain.get("figures", ())},
        plain=plain,
    )


def figure_file(folder: Path, stem: str) -> Path | None:
    """A figure, as SVG where there is one."""
    places = (folder / FIGURES / f"{stem}{suffix}" for suffix in (".svg", ".png"))
    return next((path for path in places if path.exists()), None)


def _table(told: Mapping[str, Any]) -> Table:
    return Table(
        part=told.get("part") or "",
        title=told["title"],
        head=tuple(told["columns"]),
        rows=tuple(tuple(_cell(cell) for cell in row) for row in told["rows"]),
        num_words=1,
        note=told.get("note") or "",
    )


def _cell(cell: object) -> str:
    # A link of a gallery's page leads nowhere from here.
    return str(cell["text"] if isinstance(cell, dict) else cell)
