"""How every figure looks, and how it is written so that the same numbers give the same bytes.

Figures are made with matplotlib's objects, never through pyplot, whose state all threads share.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too, in the order to take them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Different shapes as well, for print without colour.
MARKERS = ("o", "s", "D", "^", "v", "P")
INK, FAINT, PAPER = "#222222", "#9A9A9A", "#FFFFFF"
WIDTH_INCHES = 7.0
_PNG_DPI = 200
_STYLE: dict[Any, Any] = {
    # Bundled with matplotlib, so that text is as wide everywhere.
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    # Names inside an SVG are hashes, of this and not of a random number.
    "svg.hashsalt": "relume",
    "svg.fonttype": "path",
}


@contextmanager
def styled() -> Iterator[None]:
    """Everything that is drawn or written within has this style."""
    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(height_inches: float, width_inches: float = WIDTH_INCHES) -> Figure:
    """An empty figure of a page's width, which lays itself out without clipping."""
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes, *, grid: str = "x") -> None:
    """Leave of the frame only what is read: the grid across the values, no box."""
    for side in ("top", "right", "left" if grid == "x" else "bottom"):
        axes.spines[side].set_visible(False)
    if grid == "x":
        axes.grid(visible=True, axis="x")
        axes.tick_params(axis="y", length=0)
    else:
        axes.grid(visible=True, axis="y")
        axes.tick_params(axis="x", length=0)


def file_stem(words: str) -> str:
    """Words as the name of a file that any page may link to."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", words).strip("-.")


def write_figure(figure: Figure, folder: Path, stem: str) -> tuple[Path, Path]:
    """Writes stem.png and stem.svg, without dates and without the version of what made them."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = file_stem(stem)
    png, svg = folder / f"{stem}.png", folder / f"{stem}.svg"
    with styled():
        figure.savefig(png, dpi=_PNG_DPI, metadata={"Software": None})
        figure.savefig(svg, dpi=_PNG_DPI, metadata={"Date": None, "Creator": None})
    return png, svg
