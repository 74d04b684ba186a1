"""The end of `relume audit`: its tables and figures, of what has been seen so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console

if TYPE_CHECKING:
    import pyarrow as pa

    from metrics.correction import ConfusionMatrix
    from schemas.audit_record import AuditRecord
    from tasks.audit.records import Drawn, Report

# Of the tables, what a person wants to see at once; the rest is in the files.
_SHOWN = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the report is to tell beside what it always tells, and of which samples."""

    target: Mapping[str, Mapping[str, float]] | None
    # Somebody's own, which come before the bundled ones.
    matrices: Mapping[str, Sequence[ConfusionMatrix]]
    duplicates: bool
    # The file of the selected, and their ids; None for all samples.
    selection: tuple[Path, frozenset[str]] | None


@dataclass(frozen=True, slots=True)
class _Audited:
    """One dataset as its audit found it; `names` are those in the prompts, by id."""

    dataset: Path
    label: str
    record: AuditRecord
    rows: pa.Table
    names: dict[str, str | None]


def report(out: Path, roots: Mapping[Path, Path], asked: Asked, console: Console) -> None:
    """Write report.json, report.md and the figures, and show the first tables."""
    from shards.filesystem import file_facts
    from tasks.audit.report import write_report
    from tasks.report_place import FIGURES, TEXT, staged_report
    from tasks.selection_file import report_folder

    audits = _read(roots, asked)
    empty = [one.label for one in audits if not one.rows.num_rows]
    if empty:
        console.warn(f"no picture of {empty[0]} is audited, so there is no report")
        return
    built = _build(audits, asked)
    title = f"Audit of {' against '.join(one.label for one in audits)}"
    folder, of = out, None
    if asked.selection is not None:
        folder = report_folder(out, asked.selection[0])
        of = file_facts(asked.selection[0]).sha256
    with staged_report(folder) as staged:
        figures = list(_draw(staged / FIGURES, audits, built, console))
        drawn = write_report(built, staged, title, selection=of, figures=figures)
    for one in drawn[:_SHOWN]:
        console.heading(one.title)
        console.table(one.head, one.texts())
        if one.note:
            console.note(one.note)
    console.note(f"all tables: {folder / TEXT}; figures: {folder / FIGURES}")


def _build(audits: Sequence[_Audited], asked: Asked) -> Report:
    from metrics.known_confusions import exact_matrices, known_matrices
    from tasks.audit.report import build_report
    from tasks.audit.settings import ReportSettings

    first, *others = audits
    exact = first.record.settings.analyser.kind == "truth"
    bundled = exact_matrices() if exact else known_matrices()
    return build_report(
        first.rows,
        first.label,
        against=others[0].rows if others else None,
        against_label=others[0].label if others else "baseline",
        names=first.names,
        measures=_measures(first.rows),
        procedural=first.record.procedural,
        settings=ReportSettings(
            target=asked.target,
            duplicates=asked.duplicates,
            matrices={name: [*asked.matrices.get(name, ()), *bundled[name]] for name in bundled},
        ),
    )


def _draw(
    figures: Path, audits: Sequence[_Audited], built: Report, console: Console
) -> Iterator[Drawn]:
    from shards.reader import Reader
    from tasks.audit.figures import write_figures, write_portrait_figures, write_sheet
    from tasks.audit.population import populations
    from tasks.audit.portraits import portraits

    yield from write_figures(built, figures)
    total = sum(len(populations(one.rows, one.label)) for one in audits)
    with console.progress("drawing", "figures", total) as advance:
        done = 0
        for one in audits:
            with Reader(one.dataset) as reader:
                for number, population in enumerate(populations(one.rows, one.label)):
                    if population.num_counted:
                        portrait = portraits(reader, population.stage)
                        yield from write_portrait_figures(population, portrait, figures)
                        if number == 0:
                            yield from write_sheet(population, reader, figures)
                    done += 1
                    advance(done)


def _read(roots: Mapping[Path, Path], asked: Asked) -> list[_Audited]:
    """The dataset first, then what it is compared with; only the first can be selected from."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from schemas.audit_record import AuditRecord
    from shards.encoding import read_parquet
    from shards.gathering import ROWS
    from shards.plan import read_plan
    from shards.record_file import read_record

    audits: list[_Audited] = []
    for dataset, root in roots.items():
        plan = read_plan(dataset)
        names = dict(zip(plan["id"].to_pylist(), plan["name"].to_pylist(), strict=True))
        record = read_record(root / "audit.json", AuditRecord)
        rows, label = read_parquet(root / ROWS), record.name
        if asked.selection is not None and not audits:
            taken = pa.array(sorted(asked.selection[1]), pa.string())
            rows, label = rows.filter(pc.is_in(rows["id"], value_set=taken)), f"{label}, selected"
        if any(one.label == label for one in audits):
            label = f"{label} (against)"
        audits.append(_Audited(dataset, label, record, rows, names))
    return audits


def _measures(rows: pa.Table) -> dict[str, dict[str, float]]:
    found = {
        one: distance
        for one, distance in zip(rows["id"].to_pylist(), rows["lpips"].to_pylist(), strict=True)
        if distance is not None
    }
    return {"LPIPS": found} if found else {}
