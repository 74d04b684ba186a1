"""`relume gallery`: static pages to look through a dataset, with what an audit found in it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console, counted, size
from workflows.gallery_build import Content, build

if TYPE_CHECKING:
    from tasks.gallery.rows import Gathered


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Make a folder of static pages to look through a dataset: open its index.html from disk.

    Every sample is there with small pictures, in WebP. Those of --exact are there too as the PNGs
    that they are; for the others the page names the command that takes them out of the dataset.
    At 256 px a procedural pair takes about 11 kB, 140,000 of them 1.5 GB; what to expect of this
    dataset is said before the work begins.
    """

    dataset: tyro.conf.Positional[Path]
    """folder of the dataset"""
    out: Path
    """folder of the gallery; an older gallery of the same dataset is replaced"""
    audit: Path | None = None
    """folder of relume audit of this dataset: filters, findings, tables and figures"""
    selection: Path | None = None
    """samples that relume curate chose: who is taken, and why others are not, can be filtered"""
    selected_only: Annotated[bool, tyro.conf.arg(help="show only what --selection takes")] = False
    size_px: int | None = None
    """width of the small pictures; without it the dataset's own, at most 256"""
    exact: Annotated[str, tyro.conf.arg(metavar="INT|all")] = "500"
    """how many samples get exact copies: up to half of them flagged by the audit, the rest evenly
    spread; a file per picture"""
    workers: int | None = None
    """processes; without it one per core"""
    json: Annotated[bool, tyro.conf.arg(help="print the result as JSON")] = False


def main(argv: list[str]) -> int:
    """Make a gallery."""
    arguments = parse(Arguments, "gallery", argv)
    workers, wanted = _check(arguments)
    from tasks.gallery.folder import check_place, folder_facts
    from tasks.gallery.rows import gather
    from tasks.gallery.shape import exact_rows, expected_bytes, shape_of

    console = Console()
    gathered = gather(
        arguments.dataset,
        arguments.audit,
        arguments.selection,
        selected_only=arguments.selected_only,
    )
    shape = shape_of(gathered, arguments.size_px)
    exact = exact_rows(gathered, wanted)
    content = Content(gathered, shape, exact, _reported(arguments, console))
    replaces = check_place(arguments.out, gathered.run.plan.sha256)
    expected = expected_bytes(gathered, shape, exact) + _figure_bytes(content)
    console.note(
        f"{counted(shape.num_rows, 'sample')} at {shape.picture_px} px, "
        f"{counted(content.num_exact, 'exact copy').replace('copys', 'copies')}: "
        f"about {size(expected)}"
    )
    _check_room(arguments.out, expected)
    build(arguments.out, arguments.dataset, content, workers, console)
    num_bytes, num_files = folder_facts(arguments.out)
    told = {
        "gallery": str(arguments.out / "index.html"),
        "samples": shape.num_rows,
        "complete": gathered.complete,
        "audited": gathered.audited,
        "selected": content.num_selected,
        "exact": content.num_exact,
        "bytes": num_bytes,
        "files": num_files,
        "replaced": replaces,
    }
    _tell(arguments, console, told, gathered)
    return DONE if gathered.complete else INCOMPLETE


def _check(arguments: Arguments) -> tuple[int, int | None]:
    """How many processes, and how many exact copies; None for all."""
    for option, folder in (("the dataset", arguments.dataset), ("the audit", arguments.audit)):
        if folder is not None and arguments.out.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"--out {arguments.out}: lies in {option}; choose a place outside")
    if arguments.audit is not None and not arguments.audit.is_dir():
        raise ValueError(f"--audit {arguments.audit}: is no folder; make one with relume audit")
    if arguments.selected_only and arguments.selection is None:
        raise ValueError("--selected-only: of which selection? Give one with --selection")
    workers = arguments.workers
    if workers is None:
        workers = len(os.sched_getaffinity(0))
    if workers < 1:
        raise ValueError(f"--workers {workers}: should be at least 1")
    if arguments.exact == "all":
        return workers, None
    if not arguments.exact.isdecimal():
        raise ValueError(f"--exact {arguments.exact}: should be a whole number from 0, or all")
    return workers, int(arguments.exact)


def _reported(arguments: Arguments, console: Console) -> tuple[Path, dict[str, Any]] | None:
    """The tables and figures to show, and the folder that they lie in."""
    from tasks.gallery.report import read_report
    from tasks.selection_file import report_folder

    audit, selection = arguments.audit, arguments.selection
    if audit is None:
        return None
    if not arguments.selected_only or selection is None:
        report = read_report(audit)
        return None if report is None else (audit, report)
    folder = report_folder(audit, selection)
    report = read_report(folder, selection)
    if report is None:
        console.note(
            f"without tables: those of {audit} are of all samples; relume audit, with the options "
            f"that it had, --report-only and --selection {selection} makes those of the selected"
        )
        return None
    return folder, report


def _figure_bytes(content: Content) -> int:
    from tasks.gallery.report import FIGURES

    if content.reported is None:
        return 0
    folder, report = content.reported
    return sum((folder / FIGURES / one["file"]).stat().st_size for one in report["figures"])


def _check_room(out: Path, expected: int) -> None:
    there = next(path for path in out.absolute().parents if path.exists())
    free = shutil.disk_usage(there).free
    if free < expected:
        raise ValueError(
            f"--out {out}: has {size(free)} free, about {size(expected)} are needed; choose "
            "another place, or a smaller --size-px or --exact"
        )


def _tell(arguments: Arguments, console: Console, told: dict[str, Any], gathered: Gathered) -> None:
    if arguments.json:
        console.result(json.dumps(told, ensure_ascii=False))
        return
    state = "" if gathered.complete else f" of {gathered.num_planned:,} planned, incomplete"
    console.heading(f"{told['gallery']}: {counted(told['samples'], 'sample')}{state}")
    facts = {
        "size": f"{size(told['bytes'])} in {counted(told['files'], 'file')}",
        "exact copies": f"of {counted(told['exact'], 'sample')}",
        "audited": " and ".join(told["audited"]) or "no; give an audit with --audit",
    }
    if told["selected"] is not None:
        only = ", which are all that it shows" if arguments.selected_only else ""
        facts["selection"] = f"takes {told['selected']:,} of {gathered.num_made:,}{only}"
    console.facts(facts)
    console.note("open it in a browser; it needs no server and no network")


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
