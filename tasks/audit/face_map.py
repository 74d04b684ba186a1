"""A map of faces: t-SNE of embeddings drawn with the portraits themselves (paper, Figure 4)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import NDArray

from metrics.groups import Codes, Floats
from tasks.audit.population import Population
from tasks.audit.portraits import Portrait
from tasks.figure_style import FAINT, new_figure, styled

MOST_FACES = 1000
_INCHES = 8.0
_DPI = 200
# A side of a portrait as a part of the map's; portraits may hide this part of each other's width.
_SIDE, _OVERLAP = 0.037, 0.05


def draw_face_map(
    population: Population, portrait: Portrait, *, seed: int = 0, most: int = MOST_FACES
) -> Figure | None:
    """The map of up to `most` faces, drawn by the seed; None with fewer than five embeddings.

    A portrait is drawn where it would hide no other; the faces between are points.
    """
    rows = sampled_rows(population, seed, most)
    if len(rows) < 5:
        return None
    places = map_faces(population.embeddings[rows], seed)
    shown = _without_hiding(places)
    with styled():
        figure = new_figure(_INCHES + 0.35, _INCHES)
        axes = figure.subplots()
        axes.set_title(f"Faces by embedding, t-SNE: {population.title}\n", fontweight="bold")
        axes.text(
            0.0,
            1.008,
            f"{len(shown):,} portraits, {len(rows):,} of {population.num_counted:,} faces; near on "
            "the map is alike, distances far apart mean nothing",
            transform=axes.transAxes,
            fontsize=7.5,
        )
        axes.scatter(places[:, 0], places[:, 1], s=3, color=FAINT, linewidths=0)
        for i in shown:
            picture = portrait(population.ids[rows[i]])
            # Of points per pixel, so that every portrait has the same side whatever its pixels.
            zoom = _SIDE * _INCHES * 72 / picture.shape[0]
            box = OffsetImage(picture, zoom=zoom, interpolation="lanczos")
            axes.add_artist(AnnotationBbox(box, tuple(places[i]), frameon=False, pad=0))
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[], yticks=[], aspect="equal")
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def sampled_rows(population: Population, seed: int, most: int) -> Codes:
    """Rows with an embedding, at most so many, drawn by the seed, in the draw's order."""
    rows = population.with_embedding()
    return np.random.default_rng(seed).permutation(rows)[:most]


def map_faces(embeddings: NDArray[np.float32], seed: int) -> Floats:
    """Places in the unit square by t-SNE, (n, 2); one thread, so that sums have one order."""
    from sklearn.manifold import TSNE  # type: ignore[import-untyped]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1):
        found = TSNE(
            perplexity=min(30.0, (len(embeddings) - 1) / 3),
            init="pca",
            metric="cosine",
            random_state=seed,
            n_jobs=1,
        ).fit_transform(embeddings.astype(np.float64))
    low, high = found.min(axis=0), found.max(axis=0)
    return np.asarray((found - low) / np.maximum(high - low, 1e-12), dtype=np.float64)


def _without_hiding(places: Floats) -> list[int]:
    """Indices whose portraits do not hide each other, the earlier ones first."""
    shown: list[int] = []
    for i, place in enumerate(places):
        apart = np.abs(places[shown] - place).max(axis=1) if shown else np.array([])
        if (apart >= _SIDE * (1 - _OVERLAP)).all():
            shown.append(i)
    return shown
