"""Says what `relume facescore score` found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from workflows.console import Console, counted
from workflows.score_face_arguments import Arguments

RECORD = "facescore.json"
# More would bury what matters on a terminal.
_MOST_SHOWN = 50


def tell(
    console: Console, arguments: Arguments, rows: Sequence[dict[str, Any]], *, of_files: bool
) -> None:
    """Say what was found, each file by itself where they are few; or all of it as JSON."""
    from tasks.facescore.faces import tally
    from tasks.text_tables import number

    counts = tally(rows)
    each = of_files and (len(rows) <= _MOST_SHOWN or arguments.json)
    if arguments.json:
        told: dict[str, Any] = {"out": str(arguments.out), **counts}
        if each:
            told["rows"] = list(rows)
        console.result(json.dumps(told, ensure_ascii=False))
        return
    console.heading(
        f"{arguments.out}: {counted(counts['faces scored'], 'face')} in "
        f"{counted(counts['pictures'], 'picture')}"
    )
    if each:
        shown = [(row["id"], row["status"], number(row["score"]), _others(row)) for row in rows]
        console.table(("picture", "status", "score", "every face"), shown)
    console.facts({key: f"{value:,}" for key, value in counts.items() if value})
    several = counts["with several"]
    if several:
        console.note(
            f"{counted(several, 'picture')} with several faces: the score is of the "
            f"{arguments.picture}, the column scores has every face's"
        )
    if counts["without a face"]:
        console.note(f"{counted(counts['without a face'], 'picture')} without a face: no score")
    if counts["errors"]:
        console.warn(f"{counted(counts['errors'], 'picture')} could not be scored: see reason")


def _others(row: dict[str, Any]) -> str:
    from tasks.text_tables import number

    return " ".join(number(one) for one in row["scores"] or ()) or (row["reason"] or "-")
