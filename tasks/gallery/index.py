"""What the page reads first, and what it loads once somebody filters or searches.

The first file stays small whatever the dataset's size: shards and counts. A filter loads one byte
for each row; a search loads names and ids, block by block.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from schemas.generator import ProceduralSettings
from schemas.photo import FolderSettings
from schemas.settings import as_plain
from schemas.truth import ETHNICITIES, GENDERS
from tasks.gallery.attributes import Attribute
from tasks.gallery.rows import Gathered
from tasks.gallery.script import write_script
from tasks.gallery.shape import ROWS_PER_CHUNK, Shape

SUMMARY, FILTERS, SEARCH = "data/summary", "data/filters", "data/search"
ROWS_PER_BLOCK = 8192


def write_filters(gallery: Path, attributes: Sequence[Attribute]) -> None:
    """A byte for each row and attribute, a file per attribute."""
    for one in attributes:
        write_script(
            gallery, f"{FILTERS}/{one.key}", base64.b64encode(one.codes.tobytes()).decode()
        )


def write_search(gallery: Path, gathered: Gathered) -> int:
    """Names and ids of all rows, block by block; how many blocks."""
    starts = range(0, gathered.rows.num_rows, ROWS_PER_BLOCK)
    for number, start in enumerate(starts):
        part = gathered.rows.slice(start, ROWS_PER_BLOCK)
        block = {"id": part["id"].to_pylist(), "name": part["name"].to_pylist()}
        write_script(gallery, f"{SEARCH}/{number:03d}", block)
    return len(starts)


def write_summary(
    gallery: Path,
    gathered: Gathered,
    shape: Shape,
    attributes: Sequence[Attribute],
    *,
    blocks: int,
    has_report: bool,
    num_exact: int,
) -> None:
    """The one file that the first page needs beside its rows and pictures."""
    config = gathered.run.config
    names, counts = _shards(gathered)
    summary = {
        "dataset": config.name,
        "prompt": config.dataset.prompt,
        "has_names": config.dataset.has_names,
        "procedural": isinstance(config.generator, ProceduralSettings),
        "photographs": isinstance(config.generator, FolderSettings),
        "complete": gathered.complete,
        "num_planned": gathered.num_planned,
        "num_made": gathered.num_made,
        "num_shards_planned": gathered.num_shards_planned,
        "num_rows": shape.num_rows,
        "num_exact": num_exact,
        "size_px": config.dataset.size_px,
        "picture_px": shape.picture_px,
        "rows_per_chunk": ROWS_PER_CHUNK,
        "pairs_per_sheet": shape.pairs_per_sheet,
        "sheet_columns": shape.sheet_columns,
        "rows_per_block": ROWS_PER_BLOCK,
        "num_blocks": blocks,
        "stages": [{"stage": s, **_stage(gathered, s)} for s in gathered.stages],
        "audited": gathered.audited,
        "has_selection": gathered.has_selection,
        "genders": GENDERS,
        "ethnicities": ETHNICITIES,
        "shards": {"names": names, "counts": counts},
        "attributes": [
            {
                "key": one.key,
                "label": one.label,
                "group": one.group,
                "values": one.values,
                "counts": one.counts(),
            }
            for one in attributes
        ],
        "report": has_report,
    }
    write_script(gallery, SUMMARY, summary)


def _stage(gathered: Gathered, stage: str) -> dict[str, Any]:
    settings = as_plain(gathered.run.config)["stage"][stage]
    return {key: settings[key] for key in ("model", "revision", "steps", "guidance", "strength")}


def _shards(gathered: Gathered) -> tuple[list[str], list[int]]:
    """Each shard's name and number of rows, in the order of the rows, where each lies together."""
    coded = gathered.rows["shard"].combine_chunks().dictionary_encode()
    counts = np.bincount(np.asarray(coded.indices), minlength=len(coded.dictionary))
    return coded.dictionary.to_pylist(), counts.tolist()
