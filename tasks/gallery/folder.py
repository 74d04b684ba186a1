"""Where a gallery is built and how it takes its place: whole, or not at all.

It is built in a folder beside its place and renamed. An older gallery of the same dataset is
replaced; anything else that stands there is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shards.encoding import json_bytes

MARK = "gallery.json"
RECORD, VERSION = "gallery", 1
PAGE = "index.html"
ASSETS = Path(__file__).parent / "assets"
# Everything a gallery has; more than this was put there by somebody.
_OURS = {MARK, PAGE, "assets", "data", "rows", "sheets", "pictures", "figures"}


def check_place(out: Path, dataset_key: str) -> bool:
    """Whether an older gallery of this dataset is there; ValueError where something else is."""
    if not out.exists() and not out.is_symlink():
        return False
    if out.is_symlink() or not out.is_dir():
        raise ValueError(f"--out {out}: is no folder; choose another path")
    if not any(out.iterdir()):
        return False
    mark = _mark(out)
    if mark is None:
        raise ValueError(f"--out {out}: has files, and is no gallery; choose another folder")
    if mark["dataset"] != dataset_key:
        raise ValueError(
            f"--out {out}: is the gallery of another dataset; choose another folder, or remove it"
        )
    strange = sorted({path.name for path in out.iterdir()} - _OURS)
    if strange:
        raise ValueError(f"--out {out}: has {strange[0]!r}, which is no part of a gallery; move it")
    return True


@contextlib.contextmanager
def staged_gallery(out: Path, mark: Mapping[str, Any]) -> Iterator[Path]:
    """A folder to build in; it takes its place when the block ends well, else it is removed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(out)
    staging = _beside(out, "part")
    staging.mkdir()
    try:
        for folder in ("data/filters", "data/search", "rows", "sheets", "pictures"):
            (staging / folder).mkdir(parents=True)
        (staging / "assets").mkdir()
        for asset in sorted(ASSETS.iterdir()):
            place = staging / asset.name if asset.name == PAGE else staging / "assets" / asset.name
            shutil.copyfile(asset, place)
        yield staging
        (staging / MARK).write_bytes(json_bytes({"record": RECORD, "version": VERSION, **mark}))
        _take_place(staging, out, str(mark["dataset"]))
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def folder_facts(folder: Path) -> tuple[int, int]:
    """Bytes and files of a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def _take_place(staging: Path, out: Path, dataset_key: str) -> None:
    """Look again before anything moves: it took minutes since the first look."""
    if not check_place(out, dataset_key):
        staging.rename(out)  # also over an empty folder
        return
    old = _beside(out, "old")
    out.rename(old)
    staging.rename(out)
    shutil.rmtree(old)


def _mark(out: Path) -> dict[str, Any] | None:
    try:
        mark = json.loads((out / MARK).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    ours = isinstance(mark, dict) and mark.get("record") == RECORD and "dataset" in mark
    return mark if ours else None


def _beside(out: Path, what: str) -> Path:
    # Not a resolved path: `out` may be given through a link in its parents.
    return out.absolute().parent / f".{out.absolute().name}.{_host()}-{os.getpid()}.{what}"


def _remove_left_behind(out: Path) -> None:
    """Clear up after killed processes of this host; those of other hosts cannot be asked."""
    name = re.escape(out.absolute().name)
    pattern = re.compile(rf"\.{name}\.{re.escape(_host())}-(\d+)\.(part|old)")
    for path in sorted(out.absolute().parent.iterdir()):
        found = pattern.fullmatch(path.name)
        if not found or _lives(int(found[1])):
            continue
        if found[2] == "old" and not out.exists():
            path.rename(out)  # killed between two renames
        else:
            shutil.rmtree(path)


def _lives(pid: int) -> bool:
    """Whether another process has this number; our own number was that of a dead one."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
