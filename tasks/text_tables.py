"""What a table of text is, and how shares and numbers are written in one."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A cell whose text leads a page's reader to samples: those with these values, or one by id."""

    text: str
    filter: Mapping[str, Sequence[str]] | None = None
    id: str | None = None


Cell = str | Link


def text_of(cell: Cell) -> str:
    """What a cell says, wherever it leads."""
    return cell.text if isinstance(cell, Link) else cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A titled table; the first `num_words` columns hold words, the others numbers.

    `part` is the section of a report that it belongs to, empty for a table by itself.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    num_words: int
    note: str
    part: str = ""

    def texts(self) -> tuple[tuple[str, ...], ...]:
        """The rows as they are read where nothing can be followed."""
        return tuple(tuple(text_of(cell) for cell in row) for row in self.rows)


def percent(share: float) -> str:
    """A share in per cent with one decimal."""
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def interval(low: float, high: float) -> str:
    """Two shares in per cent."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def signed(share: float) -> str:
    """A difference of shares in percentage points."""
    # Without this a rounded 0 could bear a minus.
    points = round(100 * share, 1) + 0.0
    return f"{points:+.1f}" if points else "0.0"


def number(value: float | None, decimals: int = 3) -> str:
    """A number with so many decimals; a dash where there is none."""
    if value is None or math.isnan(value):
        return "-"
    return "infinite" if math.isinf(value) else f"{value:.{decimals}f}"


def chance(p_value: float | None) -> str:
    """A p-value, or that there is none."""
    if p_value is None:
        return "not given"
    return "< 0.0001" if p_value < 1e-4 else f"{p_value:.4f}"


def plain_tables(tables: Sequence[Table]) -> list[dict[str, object]]:
    """Tables as a report.json has them, for a page to read; a link says what it leads to."""
    return [
        {
            "part": one.part,
            "title": one.title,
            "columns": list(one.head),
            "rows": [[_plain_cell(cell) for cell in row] for row in one.rows],
            "note": one.note,
        }
        for one in tables
    ]


def _plain_cell(cell: Cell) -> object:
    if isinstance(cell, str):
        return cell
    told: dict[str, object] = {"text": cell.text}
    if cell.filter is not None:
        told["filter"] = {key: list(values) for key, values in cell.filter.items()}
    if cell.id is not None:
        told["id"] = cell.id
    return told


def page(title: str, tables: Sequence[Table], lead: Sequence[str] = ()) -> str:
    """Tables as a Markdown page, each part under its heading; `lead` is Markdown already."""
    lines = [f"# {markdown_text(title)}", ""]
    for paragraph in lead:
        lines += [paragraph, ""]
    part = ""
    for table in tables:
        if table.part != part:
            part = table.part
            lines += [f"## {markdown_text(part)}", ""]
        lines += [f"{'###' if part else '##'} {markdown_text(table.title)}", ""]
        lines += [*_markdown_rows(table), ""]
        if table.note:
            lines += [markdown_text(table.note), ""]
    return "\n".join(lines)


def markdown_text(text: str) -> str:
    """Text that may be anything, such as a name, as the content of a cell or a line."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", escaped)


def _markdown_rows(table: Table) -> Iterator[str]:
    yield "| " + " | ".join(markdown_text(one) for one in table.head) + " |"
    words = min(table.num_words, len(table.head))
    yield "|" + "---|" * words + "---:|" * (len(table.head) - words)
    for row in table.texts():
        yield "| " + " | ".join(markdown_text(one) for one in row) + " |"
