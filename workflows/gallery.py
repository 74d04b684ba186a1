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

if TYPE_CHECKING:
    import numpy as np

    from tasks.gallery.rows import Gathered
    from tasks.gallery.shape import Shape


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
    """what relume audit made of this dataset: filters, findings, tables and figures"""
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
    from tasks.gallery.report import read_report
    from tasks.gallery.rows import gather
    from tasks.gallery.shape import exact_rows, expected_bytes, shape_of

    console = Console()
    gathered = gather(arguments.dataset, arguments.audit)
    shape = shape_of(gathered, arguments.size_px)
    exact = exact_rows(gathered, wanted)
    report = None if arguments.audit is None else read_report(arguments.audit)
    replaces = check_place(arguments.out, gathered.run.plan.sha256)
    expected = expected_bytes(gathered, shape, exact)
    console.note(
        f"{counted(shape.num_rows, 'sample')} at {shape.picture_px} px, "
        f"{counted(int(exact.sum()), 'exact copy').replace('copys', 'copies')}: "
        f"about {size(expected)}"
    )
    _check_room(arguments.out, expected)
    _build(arguments, console, gathered, shape, exact, report, workers)
    num_bytes, num_files = folder_facts(arguments.out)
    told = {
        "gallery": str(arguments.out / "index.html"),
        "samples": shape.num_rows,
        "complete": gathered.complete,
        "audited": gathered.audited,
        "exact": int(exact.sum()),
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


def _check_room(out: Path, expected: int) -> None:
    there = next(path for path in out.absolute().parents if path.exists())
    free = shutil.disk_usage(there).free
    if free < expected:
        raise ValueError(
            f"--out {out}: has {size(free)} free, about {size(expected)} are needed; choose "
            "another place, or a smaller --size-px or --exact"
        )


def _build(
    arguments: Arguments,
    console: Console,
    gathered: Gathered,
    shape: Shape,
    exact: np.ndarray,
    report: dict[str, Any] | None,
    workers: int,
) -> None:
    """Write everything beside the place of the gallery, and put it there."""
    from tasks.gallery import index
    from tasks.gallery.attributes import attributes
    from tasks.gallery.chunk import ChunkConfig, staged_rows
    from tasks.gallery.folder import staged_gallery
    from tasks.gallery.processes import make_chunks
    from tasks.gallery.report import KEY, copy_figures
    from tasks.gallery.script import write_script

    mark = {
        "dataset": gathered.run.plan.sha256,
        "samples": shape.num_rows,
        "size_px": shape.picture_px,
        "exact": int(exact.sum()),
        "audited": gathered.audited,
    }
    with staged_gallery(arguments.out, mark) as folder:
        filters = list(attributes(gathered))
        index.write_filters(folder, filters)
        index.write_summary(
            folder,
            gathered,
            shape,
            filters,
            blocks=index.write_search(folder, gathered),
            report=report,
            num_exact=int(exact.sum()),
        )
        if report is not None and arguments.audit is not None:
            write_script(folder, KEY, report)
            copy_figures(arguments.audit, report, folder)
        with (
            staged_rows(folder, gathered, exact) as rows,
            console.progress("drawing", "samples", shape.num_rows) as advance,
        ):
            config = ChunkConfig(
                dataset=arguments.dataset,
                gallery=folder,
                rows=rows,
                stages=gathered.stages,
                audited=gathered.audited,
                shape=shape,
            )
            done = 0
            for num_rows in make_chunks(config, workers):
                done += num_rows
                advance(done)


def _tell(arguments: Arguments, console: Console, told: dict[str, Any], gathered: Gathered) -> None:
    if arguments.json:
        console.result(json.dumps(told, ensure_ascii=False))
        return
    state = "" if gathered.complete else f" of {gathered.num_planned:,} planned, incomplete"
    console.heading(f"{told['gallery']}: {counted(told['samples'], 'sample')}{state}")
    console.facts(
        {
            "size": f"{size(told['bytes'])} in {counted(told['files'], 'file')}",
            "exact copies": f"of {counted(told['exact'], 'sample')}",
            "audited": " and ".join(told["audited"]) or "no; give an audit with --audit",
        }
    )
    console.note("open it in a browser; it needs no server and no network")


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
