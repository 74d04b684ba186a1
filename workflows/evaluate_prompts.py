"""The part of `relume evaluate --prompts`: pictures of other prompts, made and judged the same way.

Each file becomes a small dataset of its own, planned and generated like any other, by the models of
the dataset that is evaluated.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows import generate
from workflows.console import Console
from workflows.deadline import parse_deadline
from workflows.evaluate_features import look, looking

if TYPE_CHECKING:
    from tasks.evaluation.dataset import Dataset
    from tasks.evaluation.evaluation import Compared, Evaluation
    from tasks.evaluation.rows import Row
    from workflows.evaluate_arguments import Arguments

FOLDER = "prompts"


def check_prompts(arguments: Arguments, data: Dataset) -> None:
    """Refuse files that cannot be judged, before hours go into the rest."""
    from tasks.evaluation.prompt_sets import read_prompts

    if arguments.prompts and data.procedural:
        raise ValueError(
            f"--prompts {arguments.prompts[0]}: the painter of {data.folder} draws portraits "
            "whatever it is asked; evaluate a dataset of diffusers models, or leave it out"
        )
    stems = [path.stem for path in arguments.prompts]
    for stem in sorted({one for one in stems if stems.count(one) > 1}):
        raise ValueError(f"--prompts: {stem} stands twice; give each file a name of its own")
    for path in arguments.prompts:
        read_prompts(path)


def judge_prompts(
    arguments: Arguments, compared: Compared, console: Console
) -> dict[str, Any] | None:
    """What each file's pictures say of every head and filter; None while some are missing."""
    found = {}
    for path in arguments.prompts:
        data = _made(arguments, compared, path, console)
        if data is None:
            return None
        told = _judged(arguments, compared, data, console)
        if told is None:
            return None
        found[path.stem] = _summary(told)
    return found


def _made(arguments: Arguments, compared: Compared, path: Path, console: Console) -> Dataset | None:
    """The dataset of a file's prompts; None where not all of it could be made."""
    from schemas.part import parse_part
    from tasks.evaluation.dataset import read_dataset
    from tasks.evaluation.prompt_sets import plan_prompts

    folder = arguments.out / FOLDER / path.stem
    plan_prompts(folder, path, compared.data.run.config, compared.settings.pictures_per_prompt)
    asked = generate.Arguments(
        dataset=folder,
        part=arguments.part,
        retry_failed=arguments.retry_failed,
        address=arguments.address,
        workers=arguments.workers,
        lease_timeout_s=arguments.lease_timeout_s,
        deadline=arguments.deadline,
        here=arguments.here,
    )
    deadline = parse_deadline(arguments.deadline, os.environ)
    # What it tells is no result of this verb.
    with contextlib.redirect_stdout(sys.stderr):
        made = generate.make(asked, parse_part(arguments.part), deadline, console)
    if made.missing:
        return None
    return read_dataset(folder, "test", ["source", "target"])


def _judged(
    arguments: Arguments, compared: Compared, data: Dataset, console: Console
) -> Evaluation | None:
    """Source, target, heads and filters on these prompts."""
    from tasks.evaluation.evaluation import Compared
    from tasks.evaluation.measures import fastest_eigenvalues
    from tasks.evaluation.numbers import evaluate
    from tasks.evaluation.rows import head_row, implied_rows
    from workflows.evaluate_report import STATISTICS

    settings = replace(
        compared.settings, teacher=None, audit=None, further_targets=(), source_alone=None
    )
    heads = {row.name: row for row in settings.row if row.kind == "head"}
    rows: list[Row] = implied_rows(settings, data, arguments.root)
    for row in compared.rows:
        if row.kind == "head":
            asked = heads[row.name]
            assert asked.kind == "head"
            rows.append(replace(head_row(asked, data, arguments.root), audit=None))
        elif row.kind == "filter":
            rows.append(replace(row, dataset=data, pictures=data.fingerprint))
    what = looking(arguments.store, rows, data, compared.networks)
    if not look(arguments, arguments.store, what, settings.numerics, console):
        return None
    here = Compared(
        settings=settings,
        data=data,
        rows=tuple(rows),
        covered=what.covered,
        networks=compared.networks,
    )
    return evaluate(here, arguments.store, arguments.out / STATISTICS, fastest_eigenvalues())


def _summary(told: Evaluation) -> dict[str, Any]:
    """Closure and artifacts of each row, as cells of a table and as numbers."""
    from dataclasses import asdict

    from schemas.evaluate import SOURCE, TARGET
    from tasks.evaluation.words import within
    from tasks.text_tables import number

    table = told.gaps[TARGET][told.headline]
    wanted = told.looks[TARGET].means.get("high")
    rows = []
    for row in table.rows:
        if row.name == SOURCE:
            continue
        means = told.looks[row.name].means
        detail = means["high"].value / wanted.value if wanted and wanted.value else None
        pattern = means["net_pattern"].value if "net_pattern" in means else None
        rows.append(
            {
                "row": row.name,
                "closure": within(row.closure),
                "net_pattern": number(pattern, 4),
                "detail": number(detail, 2),
                "numbers": {
                    "closure": None if row.closure is None else asdict(row.closure),
                    "infinity": asdict(row.infinity),
                    "net_pattern": pattern,
                    "detail": detail,
                },
            }
        )
    return {
        "num": told.num,
        "rows": rows,
        "of": list(table.cautions),
        "dataset": told.rows[SOURCE]["dataset"],
        "left_out": told.left_out,
    }
