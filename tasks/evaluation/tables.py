"""The tables of an evaluation in words and numbers, for a terminal and for Markdown."""

from __future__ import annotations

import math

from metrics.gap import GapRow, GapTable
from metrics.subsampling import Estimate, estimate
from schemas.evaluate import SOURCE
from tasks.evaluation.evaluation import Evaluation
from tasks.evaluation.row_tables import (
    block_tables,
    consistency_table,
    drift_table,
    making_table,
    pictures_table,
    prompts_table,
)
from tasks.evaluation.words import (
    OTHER_WEIGHTS,
    PROCEDURAL,
    decimals,
    distance_name,
    marks,
    named,
    sentence,
    within,
)
from tasks.text_tables import Table, number

_DASH = "-"


def tables_of(told: Evaluation) -> list[Table]:
    """All tables, the headline's first."""
    tables = [_headline(told, reference) for reference in told.gaps]
    tables += [_others(told, reference) for reference in told.gaps]
    tables += [pictures_table(told), *block_tables(told)]
    tables += [_taps(told)] if _num_taps(told) > 1 else []
    tables.append(_same_prompts(told))
    if told.drift:
        tables.append(drift_table(told))
    if told.consistency is not None:
        tables.append(consistency_table(told))
    if told.prompts:
        tables.append(prompts_table(told))
    tables.append(making_table(told))
    return tables


def _headline(told: Evaluation, reference: str) -> Table:
    table = told.gaps[reference][told.headline]
    rows = [_gap_cells(named(told, row.name), row, plain=reference) for row in table.rows]
    rows.append(_gap_cells(f"{reference}, other prompts (floor)", table.floor, plain=reference))
    notes = [
        f"{distance_name(told, told.headline)}; rows of {table.num_a} + {table.num_b} prompts "
        f"against the {reference}s of the other half, both ways averaged; {table.width} features"
        + (f" at {table.places} places of a picture" if table.places > 1 else "")
        + f". Intervals of 95 % over prompts. Closure {_ends(reference)}."
    ]
    if told.procedural:
        notes.append(PROCEDURAL)
    if "other weights" in distance_name(told, told.headline):
        notes.append(OTHER_WEIGHTS)
    notes += [one for one in told.cautions if one.startswith(f"against the {reference}:")]
    if marks(told):
        notes.append(marks(told))
    return Table(
        title=f"Gap to the {reference}",
        head=(
            "row",
            "FD",
            "FD-infinity",
            "closure",
            "floor-corrected",
            "A to B",
            "B to A",
        ),
        rows=tuple(rows),
        num_words=1,
        note=" ".join(sentence(one) for one in notes),
    )


def _ends(reference: str) -> str:
    return f"0 is the source, 1 what no number of pictures tells from the {reference}s"


def _gap_cells(name: str, row: GapRow, *, plain: str) -> tuple[str, ...]:
    del plain
    ways = row.by_direction
    digits = decimals(row.distance.value)
    return (
        name,
        number(row.distance.value, digits),
        within(row.infinity, digits),
        within(row.closure),
        within(row.floor_corrected),
        number(ways[0], 2) if ways else _DASH,
        number(ways[1], 2) if ways else _DASH,
    )


def _others(told: Evaluation, reference: str) -> Table:
    """What does not take features for Gaussians, and Frechet distances of other networks."""
    main = told.headline.partition("/")[0]
    further = [what for what in told.gaps[reference] if what.partition("/")[0] != main]
    near = told.nearness[reference]
    with_cmmd = any(one.cmmd is not None for one in near.values())
    head = ["row", "KID x 1000", "precision", "recall"] + (["CMMD"] if with_cmmd else [])
    for what in further:
        head += [f"{distance_name(told, what)}-infinity", "closure"]
    digits = decimals(1000 * max(abs(one.kid.value) for one in near.values()))
    rows = []
    for name, one in near.items():
        cells = [named(told, name), within(_thousandfold(one.kid), digits)]
        cells += [_share(one.precision), _share(one.recall)]
        cells += [within(one.cmmd, 3)] if with_cmmd else []
        for what in further:
            row = _row(told.gaps[reference][what], name)
            cells += [within(row.infinity, decimals(row.distance.value)), within(row.closure)]
        rows.append(tuple(cells))
    of = distance_name(told, told.headline)
    return Table(
        title=f"Other distances to the {reference}",
        head=tuple(head),
        rows=tuple(rows),
        num_words=1,
        note=f"KID, precision and recall (k = 3) by the features of {of}, on other prompts, both "
        "ways averaged, with intervals of 95 % over prompts. Precision and recall grow with the "
        "number of prompts: compare them within a column only.",
    )


def _share(one: Estimate) -> str:
    """With its interval, unless a quarter of the prompts was too small to tell one."""
    return number(one.value) if math.isnan(one.error) else within(one, 3)


def _thousandfold(one: Estimate) -> Estimate:
    return estimate(1000 * one.value, 1000 * one.error)


def _taps(told: Evaluation) -> Table:
    """Closure by every network and tap."""
    rows = []
    for reference, by_what in told.gaps.items():
        for what, table in by_what.items():
            for row in table.rows:
                if row.name == SOURCE:
                    continue
                cells = (reference, distance_name(told, what), named(told, row.name))
                digits = decimals(row.distance.value)
                rows.append((*cells, within(row.infinity, digits), within(row.closure)))
    return Table(
        title="Every network and tap",
        head=("reference", "distance", "row", "FD-infinity", "closure"),
        rows=tuple(rows),
        num_words=3,
        note="A closure that depends on the tap is a statement about the tap.",
    )


def _same_prompts(told: Evaluation) -> Table:
    rows = []
    for what, block in told.same_prompts.items():
        for row in block:
            values = (row.to_source, row.to_target, row.difference)
            largest = max((one.value for one in values if one), default=0.0)
            told_as = [_DASH if one is None else within(one, decimals(largest)) for one in values]
            rows.append((distance_name(told, what), named(told, row.name), *told_as))
    return Table(
        title="Same prompts, as in the paper",
        head=("distance", "row", "FID_source", "FID_target", "FID_diff"),
        rows=tuple(rows),
        num_words=2,
        note="Never a headline: FID_diff = FID_source - FID_target rewards leaving the source as "
        "much as reaching the target, and a copy of the target scores best.",
    )


def _row(table: GapTable, name: str) -> GapRow:
    return next(row for row in table.rows if row.name == name)


def _num_taps(told: Evaluation) -> int:
    return max(map(len, told.gaps.values()))
