"""An audit's own tables, figures and text, taken over into a gallery.

`report.json` is plain: {"title", "tables": [{"part", "title", "columns", "rows", "note"}],
"figures": [{"file", "title", "alt"}]}; parts, titles, notes and figures may be missing. A cell is
text, a number, null, true or false, or {"text", "filter": {attribute: [values]}} or {"text", "id"},
which the page makes a link to those rows. Other keys of the file are for other readers. `report.md`
is shown as text. Figures are the PNG and SVG files of `figures/`, shown as pictures: no script in
one can run. One that has both is shown as SVG, unless that is large.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from shards.filesystem import file_facts

REPORT, TEXT, FIGURES = "report.json", "report.md", "figures"
KEY = "data/report"
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.(png|svg)")
# An SVG with thousands of portraits in it is slower to show than its PNG.
_LARGE_SVG_BYTES = 4_000_000


def read_report(audit: Path, selection: Path | None = None) -> dict[str, Any] | None:
    """A folder's report as the page takes it; None where it has none, or none of this selection."""
    path = audit / REPORT
    told = _told(path) if path.exists() else {}
    if selection is not None and told.get("selection") != file_facts(selection).sha256:
        return None
    tables = [_table(one, f"{path}: tables[{n}]") for n, one in enumerate(told.get("tables", ()))]
    text = (audit / TEXT).read_text("utf-8") if (audit / TEXT).exists() else None
    figures = _figures(audit, told.get("figures", ()), path)
    if not (tables or figures or text):
        return None
    return {"title": told.get("title"), "tables": tables, "figures": figures, "text": text}


def copy_figures(audit: Path, report: dict[str, Any], gallery: Path) -> None:
    """Copy the pictures that a report names."""
    for figure in report["figures"]:
        (gallery / FIGURES).mkdir(exist_ok=True)
        shutil.copyfile(audit / FIGURES / figure["file"], gallery / FIGURES / figure["file"])


def _told(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_bytes(), parse_constant=lambda _: None)
    except ValueError as error:
        raise ValueError(f"{path}: is no JSON ({error}); make the audit's report anew") from None
    lists = (
        all(isinstance(told.get(key, []), list) for key in ("tables", "figures"))
        if (isinstance(told, dict))
        else False
    )
    if not lists:
        raise ValueError(f"{path}: should be an object with lists of tables and of figures")
    return dict(told)


def _table(told: Any, where: str) -> dict[str, Any]:
    columns, rows = (told.get("columns"), told.get("rows")) if isinstance(told, dict) else (0, 0)
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise ValueError(f"{where}: should have a list of columns and a list of rows")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(columns):
            raise ValueError(f"{where}.rows[{number}]: should be a list of {len(columns)} cells")
        for cell in row:
            if isinstance(cell, list) or (isinstance(cell, dict) and not _is_link(cell)):
                raise ValueError(
                    f"{where}.rows[{number}]: {cell!r} should be text, a number, null, or an "
                    'object with "text" and "filter" or "id"'
                )
    return {
        "part": told.get("part"),
        "title": told.get("title"),
        "columns": [str(column) for column in columns],
        "rows": rows,
        "note": told.get("note"),
    }


def _is_link(cell: dict[str, Any]) -> bool:
    filters = cell.get("filter", {})
    return (
        isinstance(cell.get("text"), str | int | float)
        and isinstance(cell.get("id", ""), str)
        and isinstance(filters, dict)
        and all(isinstance(values, list) for values in filters.values())
    )


def _figures(audit: Path, told: list[Any], path: Path) -> list[dict[str, Any]]:
    """What the report says of its figures, then those it does not mention."""
    there = _files(audit / FIGURES)
    by_stem: dict[str, str] = {}
    for name, num_bytes in sorted(there.items()):
        if name.endswith(".png") or num_bytes <= _LARGE_SVG_BYTES:
            by_stem[Path(name).stem] = name  # an .svg comes after its .png
    figures: list[dict[str, Any]] = []
    for one in told:
        file = one.get("file") if isinstance(one, dict) else one
        if not isinstance(file, str) or Path(file).name not in there:
            raise ValueError(f"{path}: figure {file!r} is not a PNG or SVG in {audit / FIGURES}")
        words = one if isinstance(one, dict) else {}
        title = words.get("title") or _words(file)
        best = by_stem.get(Path(file).stem, Path(file).name)
        figures.append({"file": best, "title": title, "alt": words.get("alt") or title})
    mentioned = {Path(figure["file"]).stem for figure in figures}
    for stem, shown in by_stem.items():
        if stem not in mentioned:
            figures.append({"file": shown, "title": _words(shown), "alt": _words(shown)})
    return figures


def _files(folder: Path) -> dict[str, int]:
    if not folder.is_dir():
        return {}
    return {one.name: one.stat().st_size for one in folder.iterdir() if _FILE.fullmatch(one.name)}


def _words(file: str) -> str:
    return re.sub(r"[_-]+", " ", Path(file).stem).capitalize()
