"""Which pictures a person means by files, folders and patterns, and what each becomes.

Opens no picture: names alone decide here.
"""

from __future__ import annotations

import glob
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

SUFFIXES = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".avif", ".bmp"),
    *(".tif", ".tiff", ".gif", ".jp2", ".ppm", ".pgm", ".tga"),
}
ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


@dataclass(frozen=True, slots=True)
class Item:
    """A picture that is to be enhanced, or why it is not."""

    picture: Path
    file: str
    """where it goes, relative to the folder of enhanced pictures"""
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was found."""

    items: list[Item]
    others: int
    """files in the folders that are no pictures by their names"""


def find_pictures(inputs: Sequence[str], out: Path, ending: str) -> Inputs:
    """Every picture once, in a fixed order; ValueError where an input is nothing, or holds OUT."""
    found: dict[Path, str] = {}
    others = 0
    for given in inputs:
        names = list(_named(given, out))
        taken = [(path, name) for path, name in names if _is_picture(path) or str(path) == given]
        others += len(names) - len(taken)
        if not taken:
            raise ValueError(f"{given}: holds no picture; name a picture, a folder or a pattern")
        for path, name in taken:
            found.setdefault(path.absolute(), str(Path(name).with_suffix(ending)))
    items = [Item(path, name) for path, name in found.items()]
    return Inputs(list(_refused(items, out)), others)


def _named(given: str, out: Path) -> Iterator[tuple[Path, str]]:
    """Files that an input means, and their names below it."""
    path = Path(given)
    if path.is_dir():
        if out.resolve().is_relative_to(path.resolve()):
            raise ValueError(f"--out {out}: lies in {given}; choose a place outside")
        inside = sorted(one for one in path.rglob("*") if _is_file(one))
        shown = (one for one in inside if not _is_hidden(one.relative_to(path)))
        yield from ((one, str(one.relative_to(path))) for one in shown)
    elif path.exists():
        yield path, path.name
    elif glob.has_magic(given):
        # What the pattern leaves open is kept of each path, so that names stay apart.
        plain = list(_without_magic(path.parts))
        fixed, pattern = Path(*plain), str(Path(*path.parts[len(plain) :]))
        matched = sorted(one for one in fixed.glob(pattern) if _is_file(one))
        yield from ((one, str(one.relative_to(fixed))) for one in matched)
    else:
        raise ValueError(f"{given}: no such picture, folder or pattern; check the path")


def _without_magic(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if glob.has_magic(part):
            return
        yield part


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_file(path: Path) -> bool:
    """Whether it is a file, or was to be one: a link that leads nowhere."""
    return path.is_file() or _leads_nowhere(path)


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _refused(items: Sequence[Item], out: Path) -> Iterator[Item]:
    """The items, with a reason where two want one name, or one would replace a picture given.

    Or where a link leads nowhere, which resolving may stumble over.
    """
    given = {one.picture.resolve() for one in items if not _leads_nowhere(one.picture)}
    wanting = defaultdict[str, list[Path]](list)
    for one in items:
        wanting[one.file].append(one.picture)
    for one in items:
        other = next((path for path in wanting[one.file] if path != one.picture), None)
        if _leads_nowhere(one.picture):
            why = f"is a link to {one.picture.readlink()}, which is not there; mend the link"
        elif other is not None:
            why = f"would become {one.file}, as {other} would; enhance them into two folders"
        elif (out / one.file).resolve() in given:
            why = f"would become {out / one.file}, a picture that was given; choose another --out"
        else:
            why = None
        yield replace(one, why_not=why)
