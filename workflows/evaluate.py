"""`relume evaluate`: the paper's Table 4 from any rows, with intervals, and what it is made of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console
from workflows.evaluate_arguments import Arguments
from workflows.evaluate_features import Looking, look, looking
from workflows.evaluate_prompts import check_prompts, judge_prompts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.evaluate import EvaluateSettings
    from schemas.measure import SeenBy
    from tasks.evaluation.dataset import Dataset
    from tasks.evaluation.evaluation import Compared
    from tasks.evaluation.rows import Row

# How the titles begin of what a person wants to see at once; the other tables are in the files.
_SHOWN = ("Gap to the", "Pictures")


def main(argv: list[str]) -> int:
    """Evaluate."""
    arguments = parse(Arguments, "evaluate", argv)
    arguments.check(arguments.out, arguments.root, arguments.features)
    from schemas.evaluate import read_evaluate
    from tasks.evaluation.dataset import check_halves, read_dataset
    from tasks.evaluation.rows import networks_of

    console = Console()
    settings = read_evaluate(arguments.config, split=arguments.split)
    networks = networks_of(settings)
    data = read_dataset(arguments.root / settings.data, settings.split, ["source", "target"])
    check_halves(data, settings.split)
    _outside(arguments, data, *(arguments.out, arguments.store))
    check_prompts(arguments, data)
    compared = _compared(arguments, settings, data, networks, console)
    if compared is None:
        return _unfinished(arguments, console)
    what = looking(arguments.store, compared.rows, data, networks)
    _open(arguments, compared, what, console)
    if not look(arguments, arguments.store, what, settings.numerics, console):
        return _unfinished(arguments, console)
    from workflows.evaluate_report import report

    compared = replace(compared, covered=what.covered)
    prompts = judge_prompts(arguments, compared, console)
    if prompts is None:
        return _unfinished(arguments, console)
    told = report(arguments, compared, console, prompts)
    _show(told, arguments, console)
    return DONE


def _compared(
    arguments: Arguments,
    settings: EvaluateSettings,
    data: Dataset,
    networks: Mapping[str, SeenBy],
    console: Console,
) -> Compared | None:
    """The rows, refused or flagged, with straw men chosen; None while others still tune them."""
    from schemas.evaluate import FilterRow
    from tasks.evaluation.evaluation import Compared
    from tasks.evaluation.rows import asked_row, further_rows, implied_rows, refuse_sizes

    root = arguments.root
    rows = implied_rows(settings, data, root)
    # Every row is checked before any is looked at.
    asked = [asked_row(one, data, root, settings.split) for one in settings.row]
    refuse_sizes(asked, settings)
    further = further_rows(settings, data, root)
    chosen = _tuned(arguments, settings, networks, console)
    if chosen is None:
        return None
    rows += [
        chosen[one.name] if isinstance(setting, FilterRow) else one
        for one, setting in zip(asked, settings.row, strict=True)
    ]
    return Compared(
        settings=settings,
        data=data,
        rows=(*_at(rows, data), *further),
        covered={},
        networks=networks,
        further=tuple(one.name for one in further),
        source_speed=_source_speed(settings, data, root),
    )


def _at(rows: list[Row], data: Dataset) -> list[Row]:
    """Rows with the split's own shards: a straw man was chosen on those of validation."""
    return [replace(row, dataset=data) if row.kind == "filter" else row for row in rows]


def _tuned(
    arguments: Arguments,
    settings: EvaluateSettings,
    networks: Mapping[str, SeenBy],
    console: Console,
) -> dict[str, Row] | None:
    """Straw men with the settings that close most on validation; None while some is missing."""
    from schemas.evaluate import FilterRow
    from tasks.evaluation.rows import filter_row
    from tasks.evaluation.tune_straw_men import choose, tuning_of

    tuning = tuning_of(settings, arguments.root, networks)
    if tuning is None:
        return {}
    what = looking(arguments.store, tuning.rows, tuning.data, tuning.networks)
    if not look(arguments, arguments.store, what, settings.numerics, console):
        return None
    found = {}
    for row in settings.row:
        if isinstance(row, FilterRow):
            change, closures = choose(tuning, row, arguments.store, what.covered)
            made = filter_row(row, tuning.data, change)
            tried = {key: round(value, 4) for key, value in closures.items()}
            found[row.name] = replace(made, facts={**made.facts, "tried_on_validation": tried})
    return found


def _source_speed(settings: EvaluateSettings, data: Dataset, root: Path) -> Any:
    from shards.run import read_run
    from tasks.evaluation.speeds import of_dataset

    if settings.source_alone is None:
        return None
    place = root / settings.source_alone
    config, ours = read_run(place).config, data.run.config
    if config.dataset.stages != ("source",) or config.stage["source"] != ours.stage["source"]:
        raise ValueError(
            f"evaluate.source_alone: {place} has not the sources of {data.folder} alone; name a "
            "dataset of one stage by the same model and steps"
        )
    return of_dataset(place, 1)


def _open(arguments: Arguments, compared: Compared, what: Looking, console: Console) -> None:
    """Note that test is opened, before anything of it is looked at."""
    outstanding = what.outstanding(arguments.store)
    if compared.settings.split != "test" or not outstanding:
        return
    from schemas.settings import as_plain, fingerprint
    from shards.filesystem import file_facts
    from shards.provenance import code_version
    from tasks.evaluation.openings import note_opening, openings

    folder = compared.data.folder
    before = len(list(openings(folder)))
    note_opening(
        folder,
        {
            "split": "test",
            "config": str(arguments.config),
            "config_sha256": file_facts(arguments.config).sha256,
            "settings": fingerprint(as_plain(compared.settings)),
            "code": code_version(),
            "rows": list(compared.shown),
            "networks": list(compared.networks),
            "out": str(arguments.out),
            "part": arguments.part,
        },
    )
    console.note(f"test of {folder} is opened, for time {before + 1}: see {folder}/openings.jsonl")


def _outside(arguments: Arguments, data: Dataset, *folders: Path) -> None:
    for folder in folders:
        if folder.resolve().is_relative_to(data.folder.resolve()):
            raise ValueError(f"--out {folder}: lies in {data.folder}; choose a place outside")


def _unfinished(arguments: Arguments, console: Console) -> int:
    if arguments.part == "1/1":
        console.warn(
            "not all pictures are looked at, so there is no table; the same command goes on"
        )
        return INCOMPLETE
    console.note("other parts still look: the part that ends last makes the tables")
    return DONE


def _show(told: dict[str, Any], arguments: Arguments, console: Console) -> None:
    if arguments.json:
        console.result(json.dumps(told))
        return
    for one in told["tables"]:
        if not one["title"].startswith(_SHOWN):
            continue
        console.heading(one["title"])
        console.table(one["columns"], one["rows"])
        console.note(one["note"])
    figures = arguments.out / "figures"
    drawn = f"figures: {figures}; " if figures.is_dir() else ""
    console.note(
        f"all tables: {arguments.out}/report.md, tables.tex; {drawn}"
        f"scores of single pictures: {arguments.out}/pictures.csv"
    )


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
