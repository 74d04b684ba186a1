"""`relume rate`: asks people which picture is better, blind and offline; says what they chose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from workflows.cli import DONE, parse, run_verb
from workflows.console import Console, counted, size

if TYPE_CHECKING:
    from schemas.study import Study
    from tasks.rating.rows import Row

STUDY, PAGE, OUTCOME = "study.json", "page", "outcome"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Make a page on which people choose between pictures, or say what they chose.

    relume rate source=data/enhanced:source target=data/enhanced:target --out study
    makes study/page, to be handed out as it is: raters open its index.html, and each saves a file.
    relume rate --analyse study ratings/*.csv
    reads these files. study/study.json tells what the page's codes stand for: keep it back.
    """

    what: tyro.conf.Positional[tuple[str, ...]]
    """rows as NAME=DATASET:STAGE or NAME=FOLDER; with --analyse the files that raters saved"""
    out: Path | None = None
    """a new folder for the study"""
    analyse: Path | None = None
    """folder of a study whose ratings are to be read; the outcome goes to its folder outcome"""
    question: str = "Which picture looks more like a photograph?"
    """what raters are asked"""
    count: int = 60
    """choices that each rater makes, each about another sample"""
    catch: int = 6
    """catch trials: a picture beside the same one in coarse blocks"""
    repeat: int = 6
    """choices that come twice, to see how steady a rater is"""
    together: int = 2
    """pictures at once, 2 or 3; of 3 the best and then the better one of the others is chosen"""
    split: str = "validation"
    """samples of a dataset to show; those of test only when everything else is settled"""
    seed: int = 0
    """of the draw of samples and of rows, and of resampling"""
    min_catch: float = 0.8
    """raters who get a smaller share of the catch trials right are not counted"""
    metrics: Path | None = None
    """CSV or parquet file of numbers by row and sample: how often does each agree with people?"""
    lower_is_better: tuple[str, ...] = ()
    """numbers of --metrics of which less is better"""
    json: Annotated[bool, tyro.conf.arg(help="print the result as JSON")] = False


def main(argv: list[str]) -> int:
    """Make a study, or analyse one."""
    arguments = parse(Arguments, "rate", argv)
    if (arguments.out is None) == (arguments.analyse is None):
        raise ValueError("--out, --analyse: give one: a folder for a new study, or that of a study")
    return _make(arguments) if arguments.analyse is None else _analyse(arguments)


def _make(arguments: Arguments) -> int:
    from schemas.study import FEWEST_TOGETHER, MOST_TOGETHER
    from tasks.rating.rows import common_samples, given_rows, opened_rows
    from tasks.rating.study import draw_study

    out, console = arguments.out, Console()
    assert out is not None
    if not FEWEST_TOGETHER <= arguments.together <= MOST_TOGETHER:
        raise ValueError(f"--together {arguments.together}: should be 2 or 3")
    told = given_rows(arguments.what)
    if len(told) < arguments.together:
        raise ValueError(
            f"rows: {', '.join(told) or 'none'}: {arguments.together} are shown together, so give "
            "at least as many as NAME=DATASET:STAGE or NAME=FOLDER"
        )
    with opened_rows(told, arguments.split) as rows:
        study = draw_study(
            list(rows),
            common_samples(rows),
            question=arguments.question,
            num_choices=arguments.count,
            num_catch=arguments.catch,
            num_repeats=arguments.repeat,
            together=arguments.together,
            seed=arguments.seed,
        )
        was_there = _is_there(study, out)
        if not was_there:
            _write(study, rows, out, console)
    num_bytes = sum(path.stat().st_size for path in (out / PAGE).rglob("*") if path.is_file())
    facts: dict[str, Any] = {
        "page": str(out / PAGE / "index.html"),
        "study": study.key(),
        "trials": len(study.trials) + len(study.repeats),
        "bytes": num_bytes,
    }
    if arguments.json:
        console.result(json.dumps(facts))
        return DONE
    before = "; it was there already" if was_there else ""
    trials = counted(facts["trials"], "trial")
    console.heading(f"{out}: {trials}, {size(num_bytes)}{before}")
    console.note(f"hand out {out / PAGE}, as a folder or in an archive; keep {out / STUDY} back")
    console.note(f"then: relume rate --analyse {out} FILES, those that raters saved")
    return DONE


def _is_there(study: Study, out: Path) -> bool:
    """Whether this very study was made before; ValueError where something else has its place."""
    from schemas.study import Study
    from shards.record_file import read_record

    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if (out / STUDY).is_file() and read_record(out / STUDY, Study) == study:
        return True
    raise ValueError(f"--out {out}: is there already; a study never changes, name a new folder")


def _write(study: Study, rows: Mapping[str, Row], out: Path, console: Console) -> None:
    """Write everything beside OUT, which then appears whole: a kill leaves no half of a study."""
    from shards.record_file import publish_record
    from tasks.rating.page.build import write_page

    staging = out.absolute().with_name(f".{out.absolute().name}.relume-rate")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with console.progress("writing", "trials", len(study.trials)) as advance:
            for done in write_page(study, rows, staging / PAGE):
                advance(done)
        publish_record(staging / STUDY, study)
        staging.rename(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _analyse(arguments: Arguments) -> int:
    from schemas.study import Study
    from shards.encoding import json_bytes
    from shards.record_file import read_record
    from tasks.rating.outcome import analyse, as_plain_outcome
    from tasks.rating.picture_numbers import Numbers, read_numbers
    from tasks.rating.ratings import read_ratings
    from tasks.rating.report import outcome_tables, write_outcome_figures
    from tasks.report_place import FIGURES, REPORT, TEXT, staged_report
    from tasks.text_tables import page, plain_tables

    folder, console = arguments.analyse, Console()
    assert folder is not None
    if not (folder / STUDY).exists():
        raise ValueError(f"{folder}: has no {STUDY}; it stays where relume rate --out made it")
    if not arguments.what:
        raise ValueError("files: none given; name the CSV files that raters saved")
    if not 0 <= arguments.min_catch <= 1:
        raise ValueError(f"--min-catch {arguments.min_catch:g}: should be 0 to 1")
    study = read_record(folder / STUDY, Study)
    ratings = read_ratings(study, [Path(one) for one in arguments.what])
    numbers: Numbers = {}
    if arguments.metrics is not None:
        numbers = read_numbers(arguments.metrics, study.rows, arguments.lower_is_better)
    found = analyse(study, ratings, numbers, min_catch=arguments.min_catch, seed=arguments.seed)
    tables = outcome_tables(found)
    plain = as_plain_outcome(found) | {"tables": plain_tables(tables)}
    with staged_report(folder / OUTCOME) as place:
        write_outcome_figures(found, place / FIGURES)
        (place / REPORT).write_bytes(json_bytes(plain))
        (place / TEXT).write_text(page("What people chose", tables), encoding="utf-8")
    if arguments.json:
        console.result(json.dumps(plain, ensure_ascii=False))
        return DONE
    for table in tables:
        console.heading(table.title)
        console.table(table.head, table.texts())
        if table.note:
            console.note(table.note)
    console.note(f"the same with figures: {folder / OUTCOME}")
    return DONE


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
