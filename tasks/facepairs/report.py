"""How many faces became pairs, and why the others did not: facepairs.json, out of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from schemas.lease import ShardDone
from shards import filesystem, layout
from shards.encoding import json_bytes, read_parquet
from shards.pair_plan import picture_and_face
from tasks.facepairs.faces import is_finding

_COLUMNS = ("id", "reason", "prompt", "bad_strength")


def pair_report(
    root: Path,
    done: Mapping[str, ShardDone],
    num_cut: Callable[[Sequence[str]], int],
    without_caption: Mapping[str, int],
) -> dict[str, Any]:
    """What the rows of the shards that exist say, as plain JSON values.

    `num_cut` counts the prompts of which the text encoder reads only a part; `without_caption` are
    the pictures that were not planned for want of one, by reason.
    """
    pictures, with_pair = set[str](), set[str]()
    by_face: dict[int, Counter[str]] = {}
    by_factor, reasons = Counter[float](), Counter[str]()
    prompts_cut = 0
    for shard in sorted(done):
        rows = read_parquet(layout.rows_path(root, shard), [*_COLUMNS])
        prompts_cut += num_cut(rows.filter(pc.is_null(rows["reason"]))["prompt"].to_pylist())
        for row in rows.to_pylist():
            picture, face = picture_and_face(row["id"])
            pictures.add(picture)
            kept = row["reason"] is None
            by_face.setdefault(face, Counter())["kept" if kept else "left out"] += 1
            if kept:
                with_pair.add(picture)
                by_factor[row["bad_strength"]] += 1
            else:
                reasons[row["reason"]] += 1
    return {
        "shards": len(done),
        "pictures": len(pictures),
        "pictures_with_a_pair": len(with_pair),
        "planned": sum(one.planned for one in done.values()),
        "pairs": sum(by_factor.values()),
        "left_out": dict(sorted(reasons.items(), key=lambda one: (-one[1], one[0]))),
        "faults": sum(count for why, count in reasons.items() if not is_finding(why)),
        "by_face": {str(face): dict(by_face[face]) for face in sorted(by_face)},
        "by_noise_factor": {f"{factor:g}": by_factor[factor] for factor in sorted(by_factor)},
        "prompts_cut": prompts_cut,
        "pictures_without_a_caption": dict(without_caption),
    }


def write_report(root: Path, report: Mapping[str, Any]) -> None:
    """Put facepairs.json in its place, over an older one."""
    filesystem.replace_file(root, root / layout.FACEPAIRS, filesystem.plain(json_bytes(report)))
