"""Writes the folder of the page: the page itself, the captions as a script, and small pictures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from schemas.caption import CaptionRecord, CaptionRow
from shards.photo_files import photo_id
from tasks.captions.decisions import caption_key
from tasks.captions.inputs import CaptionInput, Pictured
from tasks.captions.texts import in_one_line
from tasks.published_pictures import Undecodable

PAGE, SCRIPT, PICTURES = "index.html", "captions.js", "pictures"
DEFAULT_ROWS = 2000
_ASSETS = Path(__file__).parent / "assets"
_LONGEST_PX = 512
# Sharp enough to judge a caption by, at a tenth of the file's size.
_QUALITY = 85
_PER_FOLDER = 1000


def page_key(record: CaptionRecord) -> str:
    """Digits that stand for these captions; they are in every decision about them."""
    return record.fingerprint()[:12]


def page_rows(rows: Sequence[CaptionRow], most: int) -> list[CaptionRow]:
    """The rows that a page shows: flagged ones first, then others spread evenly; in their order."""
    shown = [row for row in rows if row.status != "error"]
    flagged = [n for n, row in enumerate(shown) if row.status != "ok" or row.clip_cut]
    plain = sorted(set(range(len(shown))) - set(flagged))
    flagged = _spread(flagged, most)
    chosen = flagged + _spread(plain, most - len(flagged))
    return [shown[n] for n in sorted(chosen)]


def write_review_page(
    folder: Path, record: CaptionRecord, rows: Sequence[CaptionRow], pictures: CaptionInput
) -> Iterator[int]:
    """Write the page into a new folder, or one that holds such a page; yields how far it is."""
    _refuse_foreign(folder)
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    told = []
    by_shard: dict[str, dict[str, Pictured]] = {}
    for number, row in enumerate(rows):
        if row.shard not in by_shard:  # rows of a shard lie together
            by_shard = {row.shard: {one.id: one for one in pictures.pictured(row.shard)}}
        name = f"{PICTURES}/{number // _PER_FOLDER:03d}/{photo_id(row.id)}.webp"
        _write_picture(folder / name, by_shard[row.shard][row.id], pictures)
        told.append(_told(row, name))
        yield number + 1
    for asset in sorted(_ASSETS.iterdir()):
        shutil.copyfile(asset, folder / asset.name)
    all_told = {"captions": page_key(record), "name": record.name, "rows": told}
    # The page is opened from disk, where a script may be loaded and a JSON file may not.
    script = f"relume({json.dumps(all_told)});\n"
    (folder / SCRIPT).write_text(script, encoding="utf-8")


def _told(row: CaptionRow, picture: str) -> dict[str, object]:
    return {
        "id": row.id,
        "status": row.status,
        "reason": row.reason or "",
        "caption": row.caption or "",
        "tokens": row.clip_tokens,
        "cut": bool(row.clip_cut),
        "review": row.review or "",
        "of": caption_key(in_one_line(row.said or "")),
        "picture": picture,
    }


def _write_picture(path: Path, one: Pictured, pictures: CaptionInput) -> None:
    try:
        levels, _ = pictures.levels(one)
    except Undecodable as error:
        raise ValueError(f"{one.id}: {error}, and could be read when it was captioned") from None
    picture = Image.fromarray(levels)
    picture.thumbnail((_LONGEST_PX, _LONGEST_PX), Image.Resampling.LANCZOS)
    path.parent.mkdir(exist_ok=True)
    picture.save(path, "WEBP", quality=_QUALITY)


def _refuse_foreign(folder: Path) -> None:
    """A page replaces a page, and nothing else."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / SCRIPT).is_file() and not (folder / PICTURES).is_dir():
        raise ValueError(f"--page {folder}: holds other files; choose a new folder")
    shutil.rmtree(folder / PICTURES, ignore_errors=True)


def _spread(numbers: Sequence[int], count: int) -> list[int]:
    """So many of them, evenly spread."""
    count = max(0, min(count, len(numbers)))
    return [numbers[int(at)] for at in np.arange(count) * len(numbers) // max(count, 1)]
