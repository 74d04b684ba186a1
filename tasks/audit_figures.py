"""The figures of an audit: distributions with intervals, crossed groups, portraits by group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from metrics.groups import AGE_BINS, ATTRIBUTES
from schemas.truth import ETHNICITIES, GENDERS
from shards.reader import Reader
from tasks.audit_population import Population
from tasks.audit_records import GroupRow, PopulationReport, Report
from tasks.contact_sheet import SHEET_SAMPLES, contact_sheet
from tasks.face_map import draw_face_map
from tasks.figure_style import (
    COLOURS,
    FAINT,
    INK,
    MARKERS,
    PAPER,
    file_stem,
    new_figure,
    plain_axes,
    styled,
    write_figure,
)
from tasks.portraits import Portrait

_PER_GROUP = 10


def write_figures(report: Report, folder: Path) -> list[Path]:
    """The figures that need no pictures, as PNG and SVG."""
    told = [p for p in report.populations if p.attributes]
    if not told:
        return []
    paths = list(write_figure(draw_distributions(report), folder, "distributions"))
    for one in told:
        paths += write_figure(draw_crossed(one), folder, f"crossed-{one.label}-{one.stage}")
    return paths


def write_portrait_figures(
    population: Population, portrait: Portrait, folder: Path, *, seed: int = 0
) -> list[Path]:
    """The map of faces, and portraits by group for each attribute, of one population."""
    name = f"{population.label}-{population.stage}"
    paths: list[Path] = []
    face_map = draw_face_map(population, portrait, seed=seed)
    if face_map is not None:
        paths += write_figure(face_map, folder, f"faces-{name}")
    for attribute in ATTRIBUTES:
        by_group = draw_by_group(population, attribute, portrait, seed=seed)
        paths += write_figure(by_group, folder, f"portraits-by-{attribute}-{name}")
    return paths


def write_sheet(
    population: Population, reader: Reader, folder: Path, *, seed: int = 0
) -> Path | None:
    """A contact sheet of counted samples drawn by the seed; None where no picture counts."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(population.counted))
    if not len(rows):
        return None
    ids = [population.ids[row] for row in np.sort(rows[:SHEET_SAMPLES])]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{file_stem(f'sheet-{population.label}')}.png"
    contact_sheet(reader, [reader.position(one) for one in ids]).save(path)
    return path


def draw_distributions(report: Report) -> Figure:
    """Corrected shares with their interval and range, and the shares as seen, by attribute."""
    told = [p for p in report.populations if p.attributes]
    sizes = [len(groups) for groups in ATTRIBUTES.values()]
    with styled():
        figure = new_figure(1.3 + sum(sizes) * (0.14 + 0.15 * len(told)))
        panels = figure.subplots(len(sizes), 1, height_ratios=sizes, sharex=True)
        for axes, (attribute, groups) in zip(panels, ATTRIBUTES.items(), strict=True):
            for number, one in enumerate(told):
                offset = (number - (len(told) - 1) / 2) * 0.8 / len(told)
                for place, row in enumerate(one.attributes[attribute].rows):
                    _draw_share(axes, place + offset, row, number)
            axes.set_title(f"Perceived {attribute}")
            axes.set_yticks(range(len(groups)), groups)
            axes.set_ylim(len(groups) - 0.5, -0.5)
            axes.set_xlim(-1, 101)
            plain_axes(axes)
            for between in np.arange(0.5, len(groups) - 1):
                axes.axhline(between, color="#E6E6E6", linewidth=0.6)
        panels[-1].set_xlabel(
            "share of the pictures that count, %" + _procedural_mark(report.procedural)
        )
        _legend(figure, [f"{one.label}, {one.stage}" for one in told])
    return figure


def draw_crossed(one: PopulationReport) -> Figure:
    """Counts of gender x age x ethnicity; a pale number with a star is too small to rely on."""
    counts = np.array([cell.count for cell in one.crossed]).reshape(
        len(GENDERS), len(AGE_BINS), len(ETHNICITIES)
    )
    small = np.array([cell.small for cell in one.crossed]).reshape(counts.shape)
    with styled():
        figure = new_figure(2.7, 8.4)
        panels = figure.subplots(1, len(GENDERS), sharey=True)
        for axes, gender, table, few in zip(panels, GENDERS, counts, small, strict=True):
            # A square root lets small cells be seen beside large ones.
            axes.imshow(np.sqrt(table), cmap="Blues", vmin=0, vmax=np.sqrt(counts.max()) * 1.6)
            axes.set_title(f"perceived {gender}")
            axes.set_xticks(range(len(ETHNICITIES)), ETHNICITIES, rotation=35, ha="right")
            axes.set_yticks(range(len(AGE_BINS)), AGE_BINS)
            axes.tick_params(length=0)
            axes.set_aspect("auto")
            for spine in axes.spines.values():
                spine.set_visible(False)
            for (age, ethnicity), count in np.ndenumerate(table):
                flagged = bool(few[age, ethnicity])
                axes.text(
                    ethnicity,
                    age,
                    f"{count:,}" + (" *" if flagged else ""),
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="#777777" if flagged else INK,
                )
        figure.suptitle(
            f"{one.label}, {one.stage}: pictures by perceived groups; * too few to rely on",
            fontsize=8.5,
            ha="left",
            x=0.01,
        )
    return figure


def draw_by_group(
    population: Population, attribute: str, portrait: Portrait, *, seed: int = 0
) -> Figure:
    """Random portraits of each perceived group of an attribute, a row per group."""
    groups = ATTRIBUTES[attribute]
    rng = np.random.default_rng(seed)
    rows = [
        rng.permutation(np.flatnonzero(population.codes[attribute] == code))
        for code in range(len(groups))
    ]
    with styled():
        figure = new_figure(0.4 + 0.77 * len(groups), 8.4)
        axes = figure.subplots()
        for place, found in enumerate(rows):
            for column, row in enumerate(found[:_PER_GROUP]):
                extent = (column + 0.03, column + 0.97, place + 0.97, place + 0.03)
                axes.imshow(portrait(population.ids[row]), extent=extent, interpolation="lanczos")
            if not len(found):
                axes.text(0.05, place + 0.5, "none", va="center", color=FAINT)
        axes.set_xlim(0, _PER_GROUP)
        axes.set_ylim(len(groups), 0)
        axes.set_aspect("equal")
        # Words under each other, so that the portraits and not the labels settle the width.
        labels = [
            "\n".join([*group.split(), f"{len(found):,}"])
            for group, found in zip(groups, rows, strict=True)
        ]
        axes.set_yticks(np.arange(len(groups)) + 0.5, labels)
        axes.set_xticks([])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_title(f"Perceived {attribute}, random portraits: {population.title}")
    return figure


def _draw_share(axes: Axes, place: float, row: GroupRow, number: int) -> None:
    """One group of one population: range as a bar, interval as a line, shares as markers."""
    colour = COLOURS[number % len(COLOURS)]
    marker = MARKERS[number % len(MARKERS)]
    height = 0.16
    axes.add_patch(
        Rectangle(
            (100 * row.range_low, place - height / 2),
            100 * (row.range_high - row.range_low),
            height,
            color=colour,
            alpha=0.22,
            linewidth=0,
        )
    )
    ends = [100 * row.corrected_low, 100 * row.corrected_high]
    axes.plot(ends, [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
    axes.plot(100 * row.corrected, place, marker, color=colour, markersize=4.5, clip_on=False)
    axes.plot(
        100 * row.share,
        place,
        marker,
        color=colour,
        markerfacecolor=PAPER,
        markersize=4.5,
        markeredgewidth=0.9,
        clip_on=False,
    )


def _legend(figure: Figure, titles: list[str]) -> None:
    handles = [
        Line2D([], [], color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)], lw=0)
        for i in range(len(titles))
    ]
    what = [
        Line2D([], [], color=INK, marker="o", markersize=4.5, linewidth=2.2),
        Rectangle((0, 0), 1, 1, color=INK, alpha=0.22, linewidth=0),
        Line2D([], [], color=INK, marker="o", markerfacecolor=PAPER, markersize=4.5, linewidth=0),
    ]
    says = ["corrected, 95 % interval", "range over matrices", "as seen"]
    figure.legend(
        handles=[*handles, *what],
        labels=[*titles, *says],
        loc="outside upper left",
        ncols=3,
        fontsize=8,
        handletextpad=0.6,
        columnspacing=1.6,
    )


def _procedural_mark(procedural: bool) -> str:
    return "; procedural pictures, a test of the instrument" if procedural else ""
