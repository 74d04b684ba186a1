"""How much room a folder has left, by the disk and by the quotas that a cluster sets."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Room:
    """Room left by one limit; None where the limit does not count that."""

    limit: str
    bytes: int | None
    files: int | None


def room_left(folder: Path) -> list[Room]:
    """Every limit that can be asked: the disk's, and those of `lfs quota` and `quota`."""
    there = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    disk = os.statvfs(there)
    # File systems that make inodes as they go report none.
    files = disk.f_favail if disk.f_files else None
    rooms = [Room("the disk", disk.f_bavail * disk.f_frsize, files)]
    for command in (["lfs", "quota", "-u", str(os.getuid()), str(there)], ["quota", "-wp"]):
        rooms += parse_quota(command[0], _output(command), _names_of_filesystem(there))
    return rooms


def parse_quota(command: str, text: str, filesystems: set[str]) -> Iterator[Room]:
    """Limits of some file systems out of the table that `lfs quota` and `quota -wp` print.

    Both print: file system, kilobytes used, quota, limit, grace, files used, quota, limit, grace;
    lfs breaks the line after a long name.
    """
    cells: list[str] = []
    for line in text.replace("*", "").splitlines():
        cells = cells + line.split() if len(cells) == 1 else line.split()
        if len(cells) < 8 or cells[0] not in filesystems:
            continue
        used_kb, soft_kb, hard_kb, used, soft, hard = (
            int(cells[k]) if cells[k].isdigit() else 0 for k in (1, 2, 3, 5, 6, 7)
        )
        limit_kb, limit_files = hard_kb or soft_kb, hard or soft
        yield Room(
            f"the {command} of {cells[0]}",
            max(0, limit_kb - used_kb) * 1024 if limit_kb else None,
            max(0, limit_files - used) if limit_files else None,
        )


def _names_of_filesystem(folder: Path) -> set[str]:
    """How a quota table may call the file system of a folder: by mount point or by device."""
    resolved = folder.resolve()
    point = next(str(path) for path in [resolved, *resolved.parents] if path.is_mount())
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return {point} | {mount[0] for mount in mounts if mount[1] == point}


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""  # no such quota here
    return done.stdout
