"""Puts the page together from what the steps left, and takes its place whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from shards.provenance import code_version
from tasks.paper_page.markup import page
from tasks.paper_page.sections import sections_of
from tasks.paper_page.sources import Sources, gather
from tasks.report_place import staged_report
from tasks.reproduce_steps import REPORT

PAGE = "index.html"
_STYLE = Path(__file__).parent / "assets/paper.css"
BANNERS = {
    "procedural": "Procedural: these pictures were drawn by a program. The numbers test the "
    "instruments, and none of them stands beside a number of FLUX.",
    "tiny": "Tiny random weights: the road is that of the paper, the pictures mean nothing, and no "
    "number stands beside one of FLUX.",
    "": "",
}


def build_page(config: Path, out: Path) -> Path:
    """Write OUT/report; where the page is."""
    found = gather(config, out)
    folder = out / REPORT
    folder.mkdir(parents=True, exist_ok=True)
    with staged_report(folder) as place:
        sections = list(sections_of(found, place))
        text = page(_title(found), list(_lead(found)), BANNERS[found.kind], sections)
        shutil.copyfile(_STYLE, place / _STYLE.name)
        (place / PAGE).write_text(text, encoding="utf-8")
    return folder / PAGE


def _title(found: Sources) -> str:
    return f"Enhancing AI Face Realism, reproduced: {found.config.stem}"


def _lead(found: Sources) -> Iterator[str]:
    yield (
        "Every table and figure of the paper (arXiv 2505.02255) that a run can make, with the "
        "paper's numbers in tables of their own, what differs, and why. Numbers under Here were "
        f"made by relume reproduce {found.config.name}, code {code_version()}."
    )
    headline = _headline(found)
    if headline:
        yield headline


def _headline(found: Sources) -> str:
    """The first head's closure, in a sentence."""
    if found.evaluation is None or not found.settings.head:
        return ""
    told = found.evaluation.plain["evaluation"]
    rows = told["gaps"]["target"][told["headline"]]["rows"]
    title = found.settings.head[0].title
    found_row = next((row for row in rows if row["name"] == title), None)
    if found_row is None:
        return ""
    closure = found_row["closure"]
    if closure is None:
        return (
            f"In short: {told['num']:,} test pictures are too few to tell the gap between source "
            f"and target from none, so no number says how much of it {title} closes."
        )
    return (
        f"In short: on {told['num']:,} pictures of names that it never saw, {title} closes "
        f"{100 * closure['value']:.0f} % of the gap between source and target "
        f"({100 * closure['low']:.0f} to {100 * closure['high']:.0f} %)."
    )
