"""Parts of the page as HTML; every text is escaped here and nowhere else."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.text_tables import Table

# A value and its interval, which may stand below it; longer words than that break where they must.
_INTERVAL = re.compile(r"(\S+(?: %)?) (\([^()]+ to [^()]+\))")
_LONG = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture beside the page."""

    file: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One item of the paper: what it prints, what is ours, what differs, or how to get it."""

    anchor: str
    title: str
    says: str
    paper: Sequence[Table] = ()
    ours: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    differs: Sequence[str] = ()
    # How to get what is missing; empty where nothing is.
    missing: str = ""


def page(title: str, lead: Sequence[str], banner: str, sections: Sequence[Section]) -> str:
    """The whole page."""
    contents = "".join(
        f'<li><a href="#{one.anchor}">{_text(one.title)}</a></li>' for one in sections
    )
    told = "".join(f"<p>{_text(one)}</p>" for one in lead)
    warning = f'<p class="banner" role="note">{_text(banner)}</p>' if banner else ""
    body = "".join(map(_section, sections))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'self' file:; img-src 'self' file: data:; base-uri 'none'; "
        "form-action 'none'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n"
        '<link rel="icon" href="data:,">\n<link rel="stylesheet" href="paper.css">\n'
        "</head>\n<body>\n"
        f"{warning}<header><h1>{_text(title)}</h1>{told}</header>\n"
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>\n'
        f"<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _section(one: Section) -> str:
    parts = [f'<section id="{one.anchor}"><h2>{_text(one.title)}</h2><p>{_text(one.says)}</p>']
    parts += [_figure(figure) for figure in one.figures]
    parts += [_table(table, "ours") for table in one.ours]
    parts += [_table(table, "paper") for table in one.paper]
    if one.missing:
        parts.append(f'<p class="missing">Not made here. <code>{_text(one.missing)}</code></p>')
    if one.differs:
        items = "".join(f"<li>{_text(told)}</li>" for told in one.differs)
        parts.append(f"<h3>What differs, and why</h3><ul>{items}</ul>")
    return "".join([*parts, "</section>\n"])


def _table(table: Table, whose: str) -> str:
    head = "".join(f'<th scope="col">{_text(one)}</th>' for one in table.head)
    rows = "".join(
        "<tr>"
        + "".join(
            _cell(cell, 'th scope="row"' if place == 0 else "td") for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in table.texts()
    )
    note = f'<p class="note">{_text(table.note)}</p>' if table.note else ""
    label = "The paper" if whose == "paper" else "Here"
    return (
        f'<div class="{whose}"><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{_text(table.title)}"><table><caption><span>{label}</span> '
        f"{_text(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"</div>{note}</div>"
    )


def _cell(text: str, tag: str) -> str:
    """A cell that stays on its line, unless it is long or an interval follows its value."""
    end = tag.partition(" ")[0]
    interval = _INTERVAL.fullmatch(text)
    if interval is not None:
        value, within = map(_text, interval.groups())
        return f'<{tag} class="wraps">{value} <span>{within}</span></{end}>'
    wraps = ' class="wraps long"' if len(text) > _LONG else ""
    return f"<{tag}{wraps}>{_text(text)}</{end}>"


def _figure(figure: Figure) -> str:
    return (
        f'<figure><img src="{_text(figure.file)}" alt="{_text(figure.alt)}">'
        f"<figcaption>{_text(figure.caption)}</figcaption></figure>"
    )


def _text(text: str) -> str:
    return html.escape(text, quote=True).replace("\n", "<br>")
