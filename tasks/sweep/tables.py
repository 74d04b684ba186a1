"""The tables of a sweep in the paper's form, and what a choice needs beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes

from schemas.sweep import PHASES, Grid, SweepConfig
from tasks.figure_style import COLOURS, MARKERS, PAPER, new_figure, plain_axes, styled, write_figure
from tasks.sweep.results import PARTS, CellResult, Standing, standings
from tasks.text_tables import Table, number

_SIGNS = {"lambda_cycle": "lambda", "learning_rate": "LR"}


def sweep_tables(sweep: SweepConfig, results: Sequence[CellResult]) -> list[Table]:
    """Loss and SSIM as the paper prints them, the parts apart, and the choice."""
    first = [one for one in results if one.cell.phase == "screen"]
    final = [one for one in results if one.cell.phase == "final"]
    tables = []
    for grid in sweep.grid:
        for told, members in (("screen", first), ("final", final)):
            mine = [one for one in members if one.cell.grid == grid.name]
            if mine:
                tables.append(_printed(grid, mine, told))
    tables.append(_parts([*first, *final]))
    for told, members in (("screen", first), ("final", final)):
        ranked = standings(members, sweep.identity_floor)
        if ranked:
            tables.append(_choice(ranked, told, sweep))
    return tables


def draw_sweep(results: Sequence[CellResult], folder: Path) -> None:
    """Closure against what is kept of the source: hollow the first phase, filled the second."""
    with styled():
        figure = new_figure(3.6)
        axes = figure.subplots()
        plain_axes(axes, grid="y")
        for index, grid in enumerate(dict.fromkeys(one.cell.grid for one in results)):
            mine = [one for one in results if one.cell.grid == grid and _seen(one)]
            _draw_grid(axes, mine, grid, COLOURS[index % len(COLOURS)], MARKERS[index % 6])
        axes.set_xlabel("kept of the source (SSIM of outputs to sources)")
        axes.set_ylabel("closure of the gap")
        axes.margins(x=0.15, y=0.12)
        if axes.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper left", ncols=4)
        write_figure(figure, folder, "sweep")


def _draw_grid(
    axes: Axes, results: Sequence[CellResult], grid: str, colour: str, marker: str
) -> None:
    """A point for each place and phase: the mean of its seeds, with a bar to both ends."""
    for phase in PHASES:
        places: dict[str, list[CellResult]] = {}
        for one in results:
            if one.cell.phase == phase:
                places.setdefault(one.cell.place, []).append(one)
        by_identity = sorted(places.values(), key=lambda one: fmean(r.identity for r in one))
        for number_, members in enumerate(by_identity):
            closures = [one.closure for one in members]
            x, y = fmean(one.identity for one in members), fmean(closures)
            axes.errorbar(
                [x],
                [y],
                yerr=[[y - min(closures)], [max(closures) - y]],
                fmt=marker,
                color=colour,
                markerfacecolor=PAPER if phase == "screen" else colour,
                linewidth=0.8,
                label=f"{grid}, {phase}" if number_ == 0 else None,
            )
            told = ", ".join(f"{value:g}" for value in members[0].cell.values.values())
            # One label above, its neighbour's below.
            place = (5, 4) if number_ % 2 == 0 else (5, -9)
            axes.annotate(told, (x, y), textcoords="offset points", xytext=place, fontsize=6.5)


def _printed(grid: Grid, results: Sequence[CellResult], told: str) -> Table:
    """Rows of the first axis, and for each value of the second the loss and the SSIM."""
    first, *rest = grid.axes
    columns = grid.axes[rest[0]] if rest else (None,)
    head = [_sign(first)]
    for column in columns:
        of = "" if column is None else f" at {_sign(rest[0])} {column:g}"
        head += [f"L{of}", f"SSIM{of}"]
    rows = []
    for row in grid.axes[first]:
        cells = [f"{row:g}"]
        for column in columns:
            wanted = {first: row} | ({} if column is None else {rest[0]: column})
            mine = [one for one in results if one.cell.values == wanted]
            cells += [_mean(mine, lambda one: one.loss), _mean(mine, lambda one: one.ssim_cycle)]
        rows.append(tuple(cells))
    unfinished = sum(not one.done for one in results)
    note = "L: lowest mean of an epoch, with lambda in it; SSIM: highest of the full cycle."
    if unfinished:
        note += f" {unfinished} of {len(results)} cells are not done; what they have so far counts."
    return Table(
        title=f"{grid.title}, {told}", head=tuple(head), rows=tuple(rows), num_words=1, note=note
    )


def _parts(results: Sequence[CellResult]) -> Table:
    rows = [
        (
            one.cell.name,
            f"{one.epochs} of {one.cell.config.epochs}",
            *(number(one.parts.get(name)) for name in PARTS),
            number(one.closure),
            number(one.identity),
        )
        for one in results
    ]
    return Table(
        title="The parts apart",
        head=("cell", "epochs", "GAN to target", "GAN to source", "cycle", "closure", "identity"),
        rows=tuple(rows),
        num_words=2,
        note="Parts of the same epoch as L, without lambda. Closure and identity of the kept head.",
    )


def _choice(ranked: Sequence[Standing], told: str, sweep: SweepConfig) -> Table:
    rows = [
        (
            one.place,
            "best" if number_ == 0 else ("tie" if one.tied else ""),
            number(one.closure),
            number(one.spread) if one.seeds > 1 else "-",
            number(one.identity),
            str(one.seeds),
        )
        for number_, one in enumerate(ranked)
    ]
    return Table(
        title=f"The choice, {told}",
        head=("cell", "", "closure", "spread", "identity", "seeds"),
        rows=tuple(rows),
        num_words=2,
        note=f"By validation closure, among cells with identity of at least "
        f"{sweep.identity_floor:g}; a tie lies within the spread of the seeds.",
    )


def _mean(results: Sequence[CellResult], value: Callable[[CellResult], float]) -> str:
    values = [value(one) for one in results if math.isfinite(value(one))]
    return number(sum(values) / len(values), 2) if values else "-"


def _seen(result: CellResult) -> bool:
    return math.isfinite(result.closure) and math.isfinite(result.identity)


def _sign(path: str) -> str:
    last = path.rpartition(".")[2]
    return _SIGNS.get(last, last)
