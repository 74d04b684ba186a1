"""The figures of an evaluation: quality against time, and closures with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from metrics.gap import GapRow
from tasks.evaluation.evaluation import Evaluation
from tasks.evaluation.words import distance_name
from tasks.figure_style import (
    COLOURS,
    FAINT,
    INK,
    MARKERS,
    PAPER,
    new_figure,
    plain_axes,
    styled,
    write_figure,
)

# What a row is in the legend, in the order of colours.
_KINDS = ("source", "head", "filter", "LoRA", "teacher", "other")
_NEAR_ONE, _DECADES = (1.0, 2.0, 5.0), 1.3


def draw(told: Evaluation, folder: Path) -> list[dict[str, str]]:
    """Write the figures that there are numbers for; file, title and alt of each."""
    found = []
    with styled():
        if _draw_closures(told, folder):
            found.append(
                {
                    "file": "figures/closures.svg",
                    "title": "Share of the gap that each row closes",
                    "alt": "Closures of all rows with intervals of 95 %, one panel a reference",
                }
            )
        if _draw_pareto(told, folder):
            found.append(
                {
                    "file": "figures/pareto.svg",
                    "title": "Quality against time",
                    "alt": "Closure of each row against the seconds that a picture takes",
                }
            )
    return found


def _draw_closures(told: Evaluation, folder: Path) -> bool:
    panels = {
        reference: [row for row in by_what[told.headline].rows if row.closure is not None]
        for reference, by_what in told.gaps.items()
    }
    panels = {reference: rows for reference, rows in panels.items() if rows}
    if not panels:
        return False
    tallest = max(map(len, panels.values()))
    figure = new_figure(0.9 + 0.27 * tallest)
    grid = figure.subplots(1, len(panels), squeeze=False, sharex=True)[0]
    for axes, (reference, rows) in zip(grid, panels.items(), strict=True):
        plain_axes(axes)
        _closures(axes, rows, told)
        axes.set_title(f"towards the {reference}")
        axes.set_xlabel("share of the gap closed")
    figure.legend(
        handles=grid[0].get_legend_handles_labels()[0][:2], loc="outside lower center", ncols=2
    )
    figure.suptitle(_subtitle(told), fontsize=7.5, color=INK)
    write_figure(figure, folder, "closures")
    return True


def _closures(axes: Axes, rows: Sequence[GapRow], told: Evaluation) -> None:
    for at, row in enumerate(rows):
        for shift, one, colour, marker, label in (
            (-0.12, row.closure, COLOURS[0], "o", "closure, of FD-infinity"),
            (0.14, row.floor_corrected, COLOURS[1], "D", "floor-corrected, at this N"),
        ):
            if one is None:
                continue
            reach = [[max(one.value - one.low, 0)], [max(one.high - one.value, 0)]]
            axes.errorbar(
                [one.value],
                [at + shift],
                xerr=reach,
                fmt=marker,
                markersize=4,
                color=colour,
                linewidth=1.0,
                markerfacecolor=colour if marker == "o" else PAPER,
                label=label if at == 0 else None,
            )
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.invert_yaxis()
    for end in (0, 1):
        axes.axvline(end, color=FAINT, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)


def _draw_pareto(told: Evaluation, folder: Path) -> bool:
    reference = next(iter(told.gaps))
    rows = {
        row.name: row
        for row in told.gaps[reference][told.headline].rows
        if row.closure is not None and row.name in told.speeds
    }
    if len(rows) < 2:
        return False
    figure = new_figure(3.4)
    axes = figure.subplots()
    plain_axes(axes, grid="y")
    for kind in _KINDS:
        mine = [row for row in rows.values() if _kind(told, row.name) == kind]
        if mine:
            _points(axes, mine, told, kind)
    _frontier(axes, [(told.speeds[name].seconds, _value(row)) for name, row in rows.items()])
    axes.set_xscale("log")
    spread = [told.speeds[name].seconds for name in rows]
    wide = max(spread) / min(spread) > 10**_DECADES
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else _NEAR_ONE))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("seconds of one worker for a picture (a head's with its source's)")
    axes.set_ylabel(f"share of the gap to the {reference} closed")
    axes.margins(x=0.18, y=0.14)
    axes.set_title(_subtitle(told), fontsize=7.5, fontweight="normal")
    figure.legend(loc="outside lower center", ncols=6)
    write_figure(figure, folder, "pareto")
    return True


def _kind(told: Evaluation, name: str) -> str:
    row = told.rows[name]
    if row.get("lora"):
        return "LoRA"
    kind = row["stage"] if row["kind"] == "dataset" else row["kind"]
    return kind if kind in _KINDS else "other"


def _points(axes: Axes, rows: Sequence[GapRow], told: Evaluation, kind: str) -> None:
    at = _KINDS.index(kind)
    rows = sorted(rows, key=lambda row: told.speeds[row.name].seconds)
    joined = kind in ("source", "teacher") and len(rows) > 1
    if joined:
        # One model at several numbers of steps.
        places = [(told.speeds[row.name].seconds, _value(row)) for row in rows]
        axes.plot(*zip(*places, strict=True), color=COLOURS[at], linewidth=0.8)
    for row in rows:
        seconds, one = told.speeds[row.name].seconds, row.closure
        assert one is not None
        axes.errorbar(
            [seconds],
            [one.value],
            yerr=[[one.value - one.low], [one.high - one.value]],
            fmt=MARKERS[at],
            markersize=5,
            color=COLOURS[at],
            linewidth=0.9,
            label=kind if row is rows[0] else None,
        )
        axes.annotate(
            row.name,
            (seconds, one.value),
            textcoords="offset points",
            xytext=(6, -9) if joined else (6, 4),
            fontsize=6.8,
        )


def _frontier(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    """What no other row beats in both: faster from the left, better upwards."""
    best: list[tuple[float, float]] = []
    for seconds, value in sorted(points):
        if not best or value > best[-1][1]:
            best.append((seconds, value))
    axes.step(*zip(*best, strict=True), where="post", color=FAINT, linewidth=0.9, zorder=0)


def _value(row: GapRow) -> float:
    assert row.closure is not None
    return row.closure.value


def _subtitle(told: Evaluation) -> str:
    drawn = "procedural portraits, " if told.procedural else ""
    return f"{drawn}{distance_name(told, told.headline)}, {told.num:,} prompts of {told.split}"
