"""Writes the folder that raters get: the page, what it shows by code, and the pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from PIL import Image

from schemas.study import SPOILT, Study, Trial
from tasks.rating.rows import Row
from tasks.rating.study import spoilt

PAGE, PICTURES = "index.html", "pictures"
_ASSETS = Path(__file__).parent / "assets"


def write_page(study: Study, rows: Mapping[str, Row], folder: Path) -> Iterator[int]:
    """Write everything into an empty folder; yields how many trials are done."""
    (folder / PICTURES).mkdir(parents=True)
    for asset in sorted(_ASSETS.iterdir()):
        shutil.copyfile(asset, folder / asset.name)
    told = {
        "study": study.key(),
        "question": study.question,
        "repeats": list(study.repeats),
        # Nothing says which are catch trials.
        "trials": [
            {"id": trial.id, "pictures": list(trial.pictures)}
            for trial in sorted(study.trials, key=lambda trial: trial.id)
        ],
    }
    # The page is opened from disk, where a script may be loaded and a JSON file may not.
    (folder / "study.js").write_text(f"relume({json.dumps(told)});\n", encoding="utf-8")
    for done, trial in enumerate(study.trials, 1):
        _write_pictures(trial, rows, folder / PICTURES)
        yield done


def _write_pictures(trial: Trial, rows: Mapping[str, Row], folder: Path) -> None:
    sizes: dict[str, tuple[int, int]] = {}
    for code, row in trial.pictures.items():
        if row == SPOILT:
            shown = next(one for one in trial.pictures.values() if one != SPOILT)
            picture = spoilt(rows[shown].picture(trial.sample))
        else:
            picture = rows[row].picture(trial.sample)
        sizes[row] = picture.size
        # Written anew from its pixels: bytes, metadata and dates of a file could tell its row.
        Image.frombytes("RGB", picture.size, picture.tobytes()).save(folder / f"{code}.png")
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{row} {width} x {height}" for row, (width, height) in sizes.items())
        raise ValueError(
            f"sample {trial.sample}: its pictures differ in size ({told}), which tells them apart; "
            "scale them alike first"
        )
