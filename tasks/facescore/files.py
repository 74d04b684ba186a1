"""Pictures in files as a table that scores are bound to: what each is called, and where it lies.

Opens no picture; who scores them reads them by chunks, like the chunks of `relume caption`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.photo import PlannedPhoto

# Of one unit of work; what a kill costs at most, for each worker.
CHUNK = 64


@dataclass(frozen=True, slots=True)
class NamedFiles:
    """Files, by their paths in the folder that holds them all."""

    folder: Path
    photos: list[PlannedPhoto]


def named_files(paths: Sequence[Path]) -> NamedFiles:
    """What each file is called, and its length now; ValueError where a name is no text."""
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    inside = [path.relative_to(folder).as_posix() for path in paths]
    for path in inside:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{folder}: the name {path!r} is not UTF-8; rename that file"
            ) from None
    photos = [
        PlannedPhoto(id=name, path=path, bytes=(folder / path).stat().st_size, sha256=None)
        for name, path in zip(names_of(inside), inside, strict=True)
    ]
    return NamedFiles(folder, photos)


def names_of(paths: Sequence[str]) -> list[str]:
    """What each picture is called: its name where that is its own, else its path."""
    names = [path.rpartition("/")[2] for path in paths]
    count = Counter(names)
    return [name if count[name] == 1 else path for name, path in zip(names, paths, strict=True)]
