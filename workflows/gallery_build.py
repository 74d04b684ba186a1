"""Builds a gallery beside its place, from what `relume gallery` has gathered, and puts it there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.console import Console

if TYPE_CHECKING:
    import numpy as np

    from tasks.gallery.rows import Gathered
    from tasks.gallery.shape import Shape


@dataclass(frozen=True, slots=True)
class Content:
    """What a gallery shows, and how."""

    gathered: Gathered
    shape: Shape
    # Which rows are copied as they are.
    exact: np.ndarray
    # The folder that an audit's report lies in, and what it says.
    reported: tuple[Path, dict[str, Any]] | None

    @property
    def num_exact(self) -> int:
        """How many samples get exact copies."""
        return int(self.exact.sum())

    @property
    def num_selected(self) -> int | None:
        """How many samples a selection takes; None without one."""
        from tasks.gallery.rows import SELECTION, TAKEN

        if not self.gathered.has_selection:
            return None
        count: int = self.gathered.rows[SELECTION].to_pylist().count(TAKEN)
        return count


def build(out: Path, dataset: Path, content: Content, workers: int, console: Console) -> None:
    """Write everything beside the place of the gallery, and put it there."""
    from tasks.gallery.folder import staged_gallery

    mark = {
        "dataset": content.gathered.run.plan.sha256,
        "samples": content.shape.num_rows,
        "size_px": content.shape.picture_px,
        "exact": content.num_exact,
        "audited": content.gathered.audited,
        "selected": content.num_selected,
    }
    with staged_gallery(out, mark) as folder:
        _write_data(folder, content)
        _draw(folder, dataset, content, workers, console)


def _write_data(folder: Path, content: Content) -> None:
    """What the page finds its rows by, and the audit's report."""
    from tasks.gallery import index
    from tasks.gallery.attributes import attributes
    from tasks.gallery.report import KEY, copy_figures
    from tasks.gallery.script import write_script

    filters = list(attributes(content.gathered))
    index.write_filters(folder, filters)
    index.write_summary(
        folder,
        content.gathered,
        content.shape,
        filters,
        blocks=index.write_search(folder, content.gathered),
        has_report=content.reported is not None,
        num_exact=content.num_exact,
    )
    if content.reported is not None:
        audit, report = content.reported
        write_script(folder, KEY, report)
        copy_figures(audit, report, folder)


def _draw(folder: Path, dataset: Path, content: Content, workers: int, console: Console) -> None:
    """The rows' details and pictures, in several processes."""
    from tasks.gallery.chunk import ChunkConfig, staged_rows
    from tasks.gallery.processes import make_chunks

    gathered, shape = content.gathered, content.shape
    with (
        staged_rows(folder, gathered, content.exact) as rows,
        console.progress("drawing", "samples", shape.num_rows) as advance,
    ):
        config = ChunkConfig(
            dataset=dataset,
            gallery=folder,
            rows=rows,
            stages=gathered.stages,
            audited=gathered.audited,
            shape=shape,
        )
        done = 0
        for num_rows in make_chunks(config, workers):
            done += num_rows
            advance(done)
