"""The scores of single pictures as a CSV, which people's rankings can be compared with."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection
from pathlib import Path

from schemas.measure import ONLY_TAP, PROMPTED
from tasks.evaluation.evaluation import Compared
from tasks.features.store import features_of

PICTURES = "pictures.csv"
# Of the networks that give a picture a score.
SCORES = ("clip_iqa", "face_score", *PROMPTED)


def write_pictures(
    compared: Compared, store: Path, left_out: Collection[str], folder: Path
) -> None:
    """Write row, sample and every score of each picture that the tables are of.

    What has no score is empty, as `relume facescore align` and `relume rate` read it.
    """
    labels = [label for label in SCORES if label in compared.networks]
    planned = compared.data.plan["id"].to_pylist()
    ids = [one for one in planned if one not in left_out]
    with (folder / PICTURES).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "sample", *labels])
        for row in compared.rows if labels else ():
            if row.name not in compared.shown:
                continue
            covered = compared.covered[row.name]
            scores = [
                features_of(store, covered, row.dataset.shards, ids, label, ONLY_TAP)[:, 0]
                for label in labels
            ]
            for sample, *values in zip(ids, *scores, strict=True):
                told = ["" if math.isnan(one) else str(one) for one in values]
                writer.writerow([row.name, sample, *told])
