"""The end of `relume evaluate`: numbers from features, and the files that tell them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.console import Console

if TYPE_CHECKING:
    from tasks.evaluation.evaluation import Compared
    from workflows.evaluate_arguments import Arguments

STATISTICS = "statistics"


def report(
    arguments: Arguments,
    compared: Compared,
    console: Console,
    prompts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write report.json, report.md, tables.tex, pictures.csv and figures; what report.json holds.

    A report that is there and of the same rows, features, settings and code is left as it is.
    """
    from dataclasses import replace

    from tasks.evaluation.measures import fastest_eigenvalues
    from tasks.evaluation.numbers import evaluate
    from tasks.evaluation.picture_scores import write_pictures
    from tasks.evaluation.report import write_report
    from tasks.report_place import REPORT, staged_report

    key = _key(compared, prompts or {})
    there = _there(arguments.out / REPORT, key)
    if there is not None:
        console.note(f"{arguments.out}: was finished before, and nothing has changed since")
        return there
    kept = arguments.out / STATISTICS
    with console.progress("computing", "tables") as advance:
        told = evaluate(compared, arguments.store, kept, fastest_eigenvalues())
        advance(len(told.gaps))
    told = replace(told, prompts=prompts or {})
    with staged_report(arguments.out) as staged:
        write_pictures(compared, arguments.store, told.left_out, staged)
        return write_report(told, staged, key)


def _key(compared: Compared, prompts: dict[str, Any]) -> str:
    """What a report depends on, but the times that pictures took."""
    from schemas.settings import as_plain, fingerprint
    from shards.filesystem import file_facts
    from shards.gathering import ROWS
    from shards.provenance import code_version

    audits = [row.audit / ROWS for row in compared.rows if row.audit is not None]
    return fingerprint(
        {
            "settings": as_plain(compared.settings),
            "looks": {name: dict(one.by_label) for name, one in compared.covered.items()},
            "facts": {row.name: str(row.facts) for row in compared.rows},
            "audits": {str(path): file_facts(path).sha256 for path in audits},
            "prompts": prompts,
            "code": code_version(),
        }
    )


def _there(path: Path, key: str) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("key") == key else None
