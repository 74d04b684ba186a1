"""What `relume caption` does beside captions: text files, the page for reviewing, its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console, counted

if TYPE_CHECKING:
    from schemas.caption import CaptionRecord, CaptionRow
    from workflows.caption_arguments import Arguments


def apply_review(
    file: Path, root: Path, record: CaptionRecord, shards: Sequence[str], console: Console
) -> None:
    """Keep the decisions in a file of the page; ValueError where they are of other captions."""
    from shards.publish import published
    from tasks.captions.decisions import keep_decisions, read_decisions
    from tasks.captions.file import made_rows
    from tasks.captions.review.build import page_key

    if not file.is_file():
        raise ValueError(f"--review {file}: is no file; save one from the page of --page")
    decisions = read_decisions(file, page_key(record))
    rows = {row.id: row for row in made_rows(root, published(root, shards))}
    kept = keep_decisions(root, decisions, rows)
    console.note(f"{counted(len(decisions), 'decision')} applied, {kept:,} kept in all")


def write_texts(
    arguments: Arguments, rows: Sequence[CaptionRow], console: Console
) -> dict[str, int | list[str]]:
    """Write a text file for each usable caption, where asked for; what became of them."""
    if arguments.sidecars is None:
        return {}
    from tasks.captions.sidecars import Sidecars, write_sidecars

    became = Sidecars(foreign=[])
    with console.progress("writing texts", "files", len(rows)) as advance:
        states = write_sidecars(arguments.out, rows, arguments.sidecars)
        for number, state in enumerate(states, 1):
            became = state
            advance(number)
    return asdict(became)


def write_page(
    arguments: Arguments, record: CaptionRecord, rows: Sequence[CaptionRow], console: Console
) -> None:
    """Write the page for reviewing, where asked for."""
    from tasks.caption_shard import input_of
    from tasks.captions.review.build import page_rows, write_review_page

    if arguments.page is None:
        return
    shown = page_rows(rows, arguments.page_rows)
    pictures = input_of(arguments.input.absolute(), arguments.out.absolute(), record)
    with console.progress("drawing the page", "pictures", len(shown)) as advance:
        for done in write_review_page(arguments.page, record, shown, pictures):
            advance(done)
    of = f"{len(shown):,} of {counted(len(rows), 'caption')}"
    console.note(f"page of {of}: open {arguments.page / 'index.html'}")
