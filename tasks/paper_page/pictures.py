"""The page's own pictures: source, outputs of heads, and target side by side, whole and near."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

from models.heads.head import Head
from schemas.sample import Stage
from schemas.seeds import stable_hash
from shards.reader import Reader
from tasks.figure_style import WIDTH_INCHES, new_figure, styled, write_figure

# Of a portrait's height and width: eyes, nose and the beginning of hair.
_NEAR = (0.24, 0.56, 0.3, 0.62)


def draw_comparison(
    dataset: Path, heads: Mapping[str, Head], count: int, folder: Path, stem: str
) -> Sequence[str]:
    """Test samples as rows: source, each head's output, target; whole, then near. Their ids."""
    with Reader(dataset, "test") as reader:
        ids = chosen(reader, count)
        rows = [_row(reader, one, heads) for one in ids]
    titles = list(rows[0])
    with styled():
        side = WIDTH_INCHES / (2 * len(titles))
        figure = new_figure(side * len(rows) + 0.3)
        panels = figure.subplots(len(rows), 2 * len(titles), squeeze=False)
        for line, row in zip(panels, rows, strict=True):
            for place, title in enumerate(titles):
                whole, near = line[2 * place], line[2 * place + 1]
                _show(whole, row[title])
                _show(near, _cut(row[title]))
        for place, title in enumerate(titles):
            panels[0][2 * place].set_title(title, fontsize=8.5)
            panels[0][2 * place + 1].set_title("near", fontsize=8.5, fontweight="normal")
        figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    write_figure(figure, folder, stem)
    return ids


def draw_samples(
    dataset: Path, stages: Sequence[Stage], count: int, folder: Path, stem: str
) -> None:
    """Samples of any split in a row for each stage."""
    with Reader(dataset) as reader:
        ids = chosen(reader, count)
        with styled():
            figure = new_figure(1.1 * len(stages) + 0.1)
            panels = figure.subplots(len(stages), len(ids), squeeze=False)
            for line, stage in zip(panels, stages, strict=True):
                for axes, one in zip(line, ids, strict=True):
                    _show(axes, _picture(reader, one, stage))
                line[0].set_ylabel(stage, fontsize=8.5)
        write_figure(figure, folder, stem)


def chosen(reader: Reader, count: int) -> list[str]:
    """So many of its samples, drawn by a hash of their ids: not by what they look like."""
    ids: list[str] = reader.rows["id"].to_pylist()
    return sorted(ids, key=lambda one: stable_hash("shown", one))[:count]


def _row(reader: Reader, sample: str, heads: Mapping[str, Head]) -> dict[str, NDArray[np.uint8]]:
    source = _picture(reader, sample, "source")
    outputs = {title: np.asarray(head(Image.fromarray(source))) for title, head in heads.items()}
    return {"source": source, **outputs, "target": _picture(reader, sample, "target")}


def _picture(reader: Reader, sample: str, stage: Stage) -> NDArray[np.uint8]:
    data = reader.read(reader.position(sample), stage)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _cut(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    top, bottom, left, right = _NEAR
    return picture[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]


def _show(axes: Axes, picture: NDArray[np.uint8]) -> None:
    axes.imshow(picture, interpolation="lanczos")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
