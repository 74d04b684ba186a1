"""The end of `relume audit`: its tables and figures, of what has been seen so far."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.console import Console

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.audit_record import AuditRecord

REPORT, FIGURES = "report.json", "figures"
# Of the tables, what a person wants to see at once; the rest is in the files.
_SHOWN = 1


def report(
    out: Path,
    roots: Mapping[Path, Path],
    target: Mapping[str, Mapping[str, float]] | None,
    console: Console,
    *,
    duplicates: bool,
) -> None:
    """Write report.json, report.md and the figures, and show the first tables."""
    from metrics.known_confusions import exact_matrices, known_matrices
    from tasks.audit_report import as_json, build_report, write_report
    from tasks.audit_settings import ReportSettings
    from tasks.audit_tables import tables

    audits = [_read(dataset, root) for dataset, root in roots.items()]
    if not all(rows.num_rows for _, rows, _ in audits):
        console.warn("nothing is audited yet, so there is no report")
        return
    (record, rows, names), *others = audits
    exact = record.settings.analyser.kind == "truth"
    settings = ReportSettings(
        target=target,
        duplicates=duplicates,
        matrices=exact_matrices() if exact else known_matrices(),
    )
    label, other = _labels(record, others[0][0] if others else None)
    built = build_report(
        rows,
        label,
        against=others[0][1] if others else None,
        against_label=other,
        names=names,
        measures=_measures(rows),
        procedural=record.procedural,
        settings=settings,
    )
    write_report(built, out)
    drawn = tables(built)
    told = as_json(built) | {
        "title": f"Audit of {label}" + (f" against {other}" if others else ""),
        "tables": [
            {"title": one.title, "columns": one.head, "rows": one.rows, "note": one.note or ""}
            for one in drawn
        ],
        "figures": [],
    }
    (out / REPORT).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    _draw(out, roots, [(label, rows), *((other, one[1]) for one in others)], built, console)
    for one in drawn[:_SHOWN]:
        console.heading(one.title)
        console.table(one.head, one.rows)
        if one.note:
            console.note(one.note)
    console.note(f"all tables: {out / 'report.md'}; figures: {out / FIGURES}")


def _draw(
    out: Path,
    roots: Mapping[Path, Path],
    labelled: list[tuple[str, pa.Table]],
    built: Any,
    console: Console,
) -> None:
    from shards.reader import Reader
    from tasks.audit_figures import write_figures, write_portrait_figures, write_sheet
    from tasks.audit_population import populations
    from tasks.portraits import portraits

    figures = out / FIGURES
    write_figures(built, figures)
    total = sum(len(populations(rows, label)) for label, rows in labelled)
    with console.progress("drawing", "figures", total) as advance:
        done = 0
        for dataset, (label, rows) in zip(roots, labelled, strict=True):
            with Reader(dataset) as reader:
                for number, population in enumerate(populations(rows, label)):
                    if population.num_counted:
                        portrait = portraits(reader, population.stage)
                        write_portrait_figures(population, portrait, figures)
                        if number == 0:
                            write_sheet(population, reader, figures)
                    done += 1
                    advance(done)


def _read(dataset: Path, root: Path) -> tuple[AuditRecord, pa.Table, dict[str, str | None]]:
    from schemas.audit_record import AuditRecord
    from shards.encoding import read_parquet
    from shards.gathering import ROWS
    from shards.plan import read_plan
    from shards.record_file import read_record

    plan = read_plan(dataset)
    names = dict(zip(plan["id"].to_pylist(), plan["name"].to_pylist(), strict=True))
    record = read_record(root / "audit.json", AuditRecord)
    return record, read_parquet(root / ROWS), names


def _labels(record: AuditRecord, other: AuditRecord | None) -> tuple[str, str]:
    if other is None:
        return record.name, "baseline"
    same = other.name == record.name
    return record.name, f"{other.name} (against)" if same else other.name


def _measures(rows: pa.Table) -> dict[str, dict[str, float]]:
    found = {
        one: distance
        for one, distance in zip(rows["id"].to_pylist(), rows["lpips"].to_pylist(), strict=True)
        if distance is not None
    }
    return {"LPIPS": found} if found else {}
