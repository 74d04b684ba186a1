"""`relume names`: choose names of actors and actresses out of IMDb's name.basics.tsv.gz."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from schemas.name_rule import NameRule
from schemas.settings import as_plain
from workflows.cli import DONE, parse, run_verb
from workflows.console import Console, size

if TYPE_CHECKING:
    from tasks.choose_names import Summary
    from tasks.names.imdb_tables import Progress
    from tasks.names.votes import Votes


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Choose distinct full names, a seeded draw: a smaller count is the beginning of a larger one.

    The file is found at https://datasets.imdbws.com, for personal and non-commercial use.
    """

    imdb: tyro.conf.Positional[Path]
    """IMDb's name.basics.tsv.gz."""
    out: Path
    """The file of names to write; an existing one is never replaced."""
    count: Annotated[str, tyro.conf.arg(metavar="INT|all")]
    """How many names, or all."""
    seed: int = 0
    """Another seed, another draw."""
    professions: tuple[str, ...] = ("actor", "actress")
    """Only who has one of these among the primary professions."""
    born_from: int | None = None
    """Only who was born in this year or later, as far as known."""
    born_to: int | None = None
    """Only who was born in this year or earlier, as far as known."""
    alive: bool = False
    """Only who has no year of death."""
    min_votes: int | None = None
    """Only who is a principal of a title with at least so many votes."""
    max_votes: int | None = None
    """Nobody who is a principal of a title with more votes: famous names risk likenesses."""
    principals: Path | None = None
    """IMDb's title.principals.tsv.gz, for the filters by votes."""
    ratings: Path | None = None
    """IMDb's title.ratings.tsv.gz, for the filters by votes."""
    json: bool = False
    """Print the summary for a script."""

    def rule(self) -> NameRule:
        """The filters."""
        return NameRule(
            professions=self.professions,
            born_from=self.born_from,
            born_to=self.born_to,
            alive=self.alive,
            min_votes=self.min_votes,
            max_votes=self.max_votes,
        )


def main(argv: list[str]) -> int:
    """Choose the names, write them, and say where every row of the file went."""
    arguments: Arguments = parse(Arguments, "names", argv)
    rule = arguments.rule()
    _check(arguments, rule)
    from tasks.choose_names import TooFewNamesError, choose_names
    from tasks.names.file import check_place, publish_names

    check_place(arguments.out)
    console = Console()
    votes = _read_votes(console, arguments) if rule.by_votes else None
    count = _count(arguments.count)
    try:
        with console.progress(f"reading {arguments.imdb.name}", "MB") as advance:
            names, summary = choose_names(
                arguments.imdb,
                rule,
                count=count,
                seed=arguments.seed,
                votes=votes,
                progress=_in_megabytes(advance),
            )
    except TooFewNamesError as error:
        _say(console, arguments, error.summary, written=None)
        raise
    choice = {"source": arguments.imdb.name, "seed": arguments.seed, "rule": as_plain(rule)}
    written = publish_names(names, arguments.out, choice)
    _say(console, arguments, summary, written=written)
    return DONE


def _check(arguments: Arguments, rule: NameRule) -> None:
    """What the fields of the command line say about each other."""
    _count(arguments.count)
    tables = {"--principals": arguments.principals, "--ratings": arguments.ratings}
    for option, path in tables.items():
        table = f"title.{option.removeprefix('--')}.tsv.gz"
        if rule.by_votes and path is None:
            raise ValueError(f"{option}: is missing; --min-votes and --max-votes need {table}")
        if not rule.by_votes and path is not None:
            raise ValueError(f"{option} = {path}: needs --min-votes or --max-votes to be of use")


def _count(text: str) -> int | None:
    """How many names; None for all."""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"--count = {text}: should be a whole number from 1, or all")
    return int(text)


def _read_votes(console: Console, arguments: Arguments) -> Votes:
    from tasks.names.votes import read_person_votes

    assert arguments.principals is not None
    assert arguments.ratings is not None
    with console.progress(f"reading {arguments.principals.name}", "MB") as advance:
        return read_person_votes(arguments.principals, arguments.ratings, _in_megabytes(advance))


def _in_megabytes(advance: Callable[[float, float | None], None]) -> Progress:
    def progress(done: float, total: float | None = None) -> None:
        advance(done / 1e6, None if total is None else total / 1e6)

    return progress


def _say(console: Console, arguments: Arguments, summary: Summary, *, written: bool | None) -> None:
    """Where the rows went, and where the names are; `written` is None if there are too few."""
    if arguments.json:
        out = None if written is None else str(arguments.out)
        console.result(json.dumps({**asdict(summary), "seed": arguments.seed, "out": out}))
        return
    from tasks.names.eligible_people import REASONS

    rows = [(REASONS[reason], num) for reason, num in summary.dropped.items() if num]
    console.heading(f"{arguments.imdb.name}: {summary.num_read:,} rows")
    shares = [
        *((f"  dropped: {reason}", num) for reason, num in rows),
        ("  distinct names", summary.num_distinct),
    ]
    whole = max(summary.num_read, 1)
    console.table(
        ("", "rows", "share"), [(what, f"{num:,}", f"{num / whole:.2%}") for what, num in shares]
    )
    if written is None:
        return
    place = f"{arguments.out} ({size(arguments.out.stat().st_size)})"
    chosen = f"{summary.num_chosen:,} of {summary.num_distinct:,} names, seed {arguments.seed}"
    console.heading(f"{place}: {chosen}" + ("" if written else "; it was there already"))


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
