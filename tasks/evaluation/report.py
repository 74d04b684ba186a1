"""The files of an evaluation: report.json, report.md, tables.tex and the figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.evaluation.evaluation import Evaluation, plain
from tasks.evaluation.figures import draw
from tasks.evaluation.tables import tables_of
from tasks.evaluation.words import PROCEDURAL
from tasks.report_place import FIGURES, REPORT, TEXT
from tasks.text_tables import Table, markdown_text, page, plain_tables

LATEX = "tables.tex"
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u2020": r"$^\dagger$",
    "\u2021": r"$^\ddagger$",
    "\u00a7": r"$^\S$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def write_report(told: Evaluation, folder: Path, key: str) -> dict[str, Any]:
    """Write all files into a folder; what report.json holds."""
    tables = tables_of(told)
    figures = draw(told, folder / FIGURES)
    title = f"Evaluation on {told.split} of {told.dataset}"
    report = {
        "title": title,
        "key": key,
        "tables": plain_tables(tables),
        "figures": figures,
        "evaluation": plain(told),
    }
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / REPORT).write_text(text + "\n", encoding="utf-8")
    (folder / TEXT).write_text(
        markdown(title, tables, figures, procedural=told.procedural), encoding="utf-8"
    )
    (folder / LATEX).write_text(latex(tables), encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def markdown(
    title: str, tables: Sequence[Table], figures: Sequence[dict[str, str]], *, procedural: bool
) -> str:
    """All tables and figures as a Markdown page."""
    text = page(title, tables, [PROCEDURAL] if procedural else [])
    shown = (
        f"\n## {markdown_text(one['title'])}\n\n![{markdown_text(one['alt'])}]({one['file']})\n"
        for one in figures
    )
    return "".join([text, *shown])


def latex(tables: Sequence[Table]) -> str:
    """The tables for a paper that loads booktabs; a comment names what each is."""
    parts = [r"% \usepackage{booktabs}"]
    for table in tables:
        columns = "l" * table.num_words + "r" * (len(table.head) - table.num_words)
        parts += [
            "",
            r"\begin{table}",
            rf"\caption{{{_escaped(table.title)}. {_escaped(table.note)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(_escaped, table.head)) + r" \\",
            r"\midrule",
            *(" & ".join(map(_escaped, row)) + r" \\" for row in table.texts()),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    return "\n".join([*parts, ""])


def _escaped(words: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in words)
