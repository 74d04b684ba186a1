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
    point = _mount_point(there)
    # lfs repeats the path it was given in its table, so it is asked about the mount point.
    for command in (["lfs", "quota", "-u", str(os.getuid()), point], ["quota", "-wp"]):
        rooms += parse_quota(command[0], _output(command), _names_of_filesystem(point))
    return rooms


def parse_quota(command: str, text: str, filesystems: set[str]) -> Iterator[Room]:
    """Limits of some file systems out of the table that `lfs quota` and `quota -wp` print.

    Both print: file system, kilobytes used, quota, limit, grace, files used, quota, limit, grace;
    lfs breaks the line after a long name, and sets in brackets what not all servers confirmed.
    """
    cells: list[str] = []
    for line in text.splitlines():
        cells = cells + line.split() if len(cells) == 1 else line.split()
        if len(cells) < 8 or cells[0] not in filesystems:
            continue
        numbers = (cells[k].strip("[]*") for k in (1, 2, 3, 5, 6, 7))
        used_kb, soft_kb, hard_kb, used, soft, hard = (
            int(number) if number.isdecimal() else 0 for number in numbers
        )
        limit_kb, limit_files = hard_kb or soft_kb, hard or soft
        yield Room(
            f"the {command} of {cells[0]}",
            max(0, limit_kb - used_kb) * 1024 if limit_kb else None,
            max(0, limit_files - used) if limit_files else None,
        )


def _mount_point(folder: Path) -> str:
    resolved = folder.resolve()
    return next(str(path) for path in [resolved, *resolved.parents] if path.is_mount())


def _names_of_filesystem(point: str) -> set[str]:
    """How a quota table may call the file system mounted here: by mount point or by device."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return {point} | {mount[0] for mount in mounts if mount[1] == point}


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no such quota here
    return done.stdout.decode(errors="replace")
