"""`relume facescore align`: people's rankings as tables, and which numbers agree with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from workflows.cli import DONE, parse
from workflows.console import Console, counted

if TYPE_CHECKING:
    from tasks.rating.people_rankings import Rankings

LATEX = "tables.tex"
_MOST_TOLD = 5


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Compare numbers of pictures with people's rankings.

    RANKINGS is CSV files with the columns rater, sample, row and rank, 1 for the best; or the
    folder of a study of relume rate --together 3, and the files that raters saved.
    """

    rankings: tyro.conf.Positional[tuple[Path, ...]]
    """files of rankings, or a study's folder and its raters' files"""
    scores: tuple[str, ...] = ()
    """NAME=TABLE with the columns row, sample and a number, or NAME=ROW:FOLDER,ROW:FOLDER with a
    folder of relume facescore score for each row"""
    lower_is_better: tuple[str, ...] = ()
    """names of numbers of which less is better"""
    vote: Literal["labels", "pairs"] = "labels"
    """majority of each picture's score, as in the paper, or of each pair of pictures"""
    pairs: Literal["all", "adjacent"] = "all"
    """pairs of a sample that count: each of the three, or neighbours in the ranking"""
    min_catch: float = 0.8
    """of a study: raters who got fewer of the catch trials right are not counted"""
    seed: int = 0
    """of the intervals' draws"""
    out: Path | None = None
    """folder for report.json, report.md and tables.tex"""
    json: Annotated[bool, tyro.conf.arg(help="print the result as JSON")] = False


def main(argv: list[str]) -> int:
    """Compare with people."""
    arguments = parse(Arguments, "facescore align", argv)
    if not arguments.rankings:
        raise ValueError("RANKINGS: none given; name CSV files, or a study and its raters' files")
    from shards.encoding import json_bytes
    from tasks.evaluation.report import latex
    from tasks.rating.ranked_scores import read_scores
    from tasks.rating.ranking_report import align, alignment_tables, as_plain_alignment
    from tasks.report_place import REPORT, TEXT, staged_report
    from tasks.text_tables import page, plain_tables

    _refuse_foreign(arguments.out)
    console = Console()
    rankings = _rankings(arguments, console)
    numbers = read_scores(arguments.scores, rankings.rows, arguments.lower_is_better)
    found = align(
        rankings, numbers, vote=arguments.vote, pairs=arguments.pairs, seed=arguments.seed
    )
    tables = alignment_tables(found)
    plain = as_plain_alignment(found) | {"tables": plain_tables(tables)}
    if arguments.out is not None:
        with staged_report(arguments.out) as place:
            (place / REPORT).write_bytes(json_bytes(plain))
            title = "People's rankings, and which numbers agree with them"
            (place / TEXT).write_text(page(title, tables), encoding="utf-8")
            (place / LATEX).write_text(latex(tables), encoding="utf-8")
    if arguments.json:
        console.result(json.dumps(plain, ensure_ascii=False))
        return DONE
    for table in tables:
        console.heading(table.title)
        console.table(table.head, table.texts())
        console.note(table.note)
    if arguments.out is not None:
        console.note(f"the same as JSON, Markdown and LaTeX: {arguments.out}")
    return DONE


def _refuse_foreign(out: Path | None) -> None:
    """ValueError where the tables would lie among, or in place of, what is no alignment's."""
    from tasks.report_place import REPORT, TEXT

    if out is None or not out.is_dir():
        return
    there = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    ours = {REPORT, TEXT, LATEX}
    if there and (there - ours or "agreement_raters" not in _plain(out / REPORT)):
        raise ValueError(f"--out {out}: holds something else; choose a folder of its own")


def _plain(report: Path) -> dict[str, Any]:
    try:
        told = json.loads(report.read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _rankings(arguments: Arguments, console: Console) -> Rankings:
    """The rankings of all files; what is left out of them is told."""
    from schemas.mistakes import nearest
    from schemas.study import Study
    from shards.record_file import read_record
    from tasks.rating.people_rankings import rankings_of, ratings_as_rankings, read_rankings
    from workflows.rate import STUDY

    first, *others = arguments.rankings
    if not 0 <= arguments.min_catch <= 1:
        raise ValueError(f"--min-catch {arguments.min_catch:g}: should be 0 to 1")
    if (first / STUDY).is_file():
        if not others:
            raise ValueError(f"{first}: is a study; name the CSV files that raters saved too")
        study = read_record(first / STUDY, Study)
        given, careless = ratings_as_rankings(study, others, arguments.min_catch)
        if careless:
            console.warn(f"left out, by the catch trials: {', '.join(careless)}")
    else:
        given = [one for path in arguments.rankings for one in read_rankings(path)]
    seen: dict[tuple[str, str], str] = {}
    for one in given:
        earlier = seen.setdefault((one.rater, one.sample), one.where)
        if earlier != one.where:
            raise ValueError(
                f"{one.where}: {one.rater} ranked {one.sample} in {earlier} too; leave one out"
            )
    rankings = rankings_of(given)
    for why, places in rankings.left_out.items():
        console.warn(f"left out {counted(len(places), 'ranking')} with {why}")
        for place in places[:_MOST_TOLD]:
            console.note(f"  {place}")
    for row, count in rankings.strange.items():
        console.warn(
            f"row {row!r} is in {counted(count, 'ranking')}, all left out; "
            f"{nearest(row, rankings.rows)}"
        )
    return rankings
