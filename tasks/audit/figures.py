"""The figures of an audit: distributions with intervals, crossed groups, portraits by group."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from metrics.groups import AGE_BINS, ATTRIBUTES
from schemas.truth import ETHNICITIES, GENDERS
from shards.reader import Reader
from tasks.audit.face_map import draw_face_map
from tasks.audit.population import Population
from tasks.audit.portraits import Portrait
from tasks.audit.records import Drawn, GroupRow, PopulationReport, Report
from tasks.contact_sheet import SHEET_SAMPLES, contact_sheet
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

_PER_GROUP = 10
# Instead of a population's own marker.
_REFUTED = "x"


def write_figures(report: Report, folder: Path) -> Iterator[Drawn]:
    """The figures that need no pictures, as PNG and SVG."""
    told = [p for p in report.populations if p.attributes]
    if not told:
        return
    yield _written(
        draw_distributions(report),
        folder,
        "distributions",
        title="Shares of perceived groups, corrected and as seen",
        alt="For every group of gender, age and ethnicity the corrected share with its interval, "
        "the range over confusion matrices, and the share as seen; the numbers stand in the table "
        "Table 1, corrected.",
    )
    for one in told:
        yield _written(
            draw_crossed(one),
            folder,
            f"crossed-{one.label}-{one.stage}",
            title=f"Perceived groups crossed: {one.label}, {one.stage}",
            alt="Numbers of pictures by perceived gender, age and ethnicity; they stand in the "
            "table Gender x age x ethnicity.",
        )


def write_portrait_figures(
    population: Population, portrait: Portrait, folder: Path, *, seed: int = 0
) -> Iterator[Drawn]:
    """The map of faces, and portraits by group for each attribute, of one population."""
    name = f"{population.label}-{population.stage}"
    face_map = draw_face_map(population, portrait, seed=seed)
    if face_map is not None:
        yield _written(
            face_map,
            folder,
            f"faces-{name}",
            title=f"Map of faces: {population.title}",
            alt="Portraits placed by t-SNE of their face embeddings: those that look alike to the "
            "face model lie near each other.",
        )
    for attribute in ATTRIBUTES:
        yield _written(
            draw_by_group(population, attribute, portrait, seed=seed),
            folder,
            f"portraits-by-{attribute}-{name}",
            title=f"Portraits by perceived {attribute}: {population.title}",
            alt=f"Up to {_PER_GROUP} random portraits in a row for each group of perceived "
            f"{attribute}.",
        )


def write_sheet(
    population: Population, reader: Reader, folder: Path, *, seed: int = 0
) -> Iterator[Drawn]:
    """A contact sheet of counted samples drawn by the seed; none where no picture counts."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(population.counted))
    if not len(rows):
        return
    ids = [population.ids[row] for row in np.sort(rows[:SHEET_SAMPLES])]
    folder.mkdir(parents=True, exist_ok=True)
    file = f"{file_stem(f'sheet-{population.label}')}.png"
    contact_sheet(reader, [reader.position(one) for one in ids]).save(folder / file)
    yield Drawn(
        file=file,
        title=f"Random samples: {population.label}",
        alt=f"A sheet of {len(ids)} samples drawn at random from the pictures that count.",
    )


def _written(figure: Figure, folder: Path, stem: str, *, title: str, alt: str) -> Drawn:
    png, _ = write_figure(figure, folder, stem)
    return Drawn(file=png.name, title=title, alt=alt)


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
                told_of = one.attributes[attribute]
                refuted = told_of.matrices[0].refuted
                for place, row in enumerate(told_of.rows):
                    _draw_share(axes, place + offset, row, number, refuted=refuted)
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
        refuted = any(of.matrices[0].refuted for one in told for of in one.attributes.values())
        _legend(figure, [f"{one.label}, {one.stage}" for one in told], refuted=refuted)
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


def _draw_share(axes: Axes, place: float, row: GroupRow, number: int, *, refuted: bool) -> None:
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
    corrected = _REFUTED if refuted else marker
    axes.plot(100 * row.corrected, place, corrected, color=colour, markersize=4.5, clip_on=False)
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


def _legend(figure: Figure, titles: list[str], *, refuted: bool) -> None:
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
    if refuted:
        what.append(Line2D([], [], color=INK, marker=_REFUTED, markersize=4.5, linewidth=0))
        says.append("corrected, but refuted by its misfit")
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
