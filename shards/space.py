"""How much room a folder has left, by the disk and by the quotas that a cluster sets."""

from __future__ import annotations

import os
import re
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
        rooms += parse_quota(command[0], _output(command), there)
    return rooms


def parse_quota(command: str, text: str, folder: Path) -> Iterator[Room]:
    """Limits out of the table that `lfs quota` and `quota -w` print.

    Both print: file system, kilobytes used, quota, limit, grace, files used, quota, limit, grace.
    """
    for line in text.splitlines():
        cells = line.replace("*", "").split()
        if len(cells) < 8 or not cells[1].isdigit() or not _holds(cells[0], folder):
            continue
        used_kb, soft_kb, hard_kb, used, soft, hard = (
            int(cells[k]) if re.fullmatch(r"\d+", cells[k]) else 0 for k in (1, 2, 3, 5, 6, 7)
        )
        limit_kb, limit_files = hard_kb or soft_kb, hard or soft
        yield Room(
            f"{command} of {cells[0]}",
            max(0, limit_kb - used_kb) * 1024 if limit_kb else None,
            max(0, limit_files - used) if limit_files else None,
        )


def _holds(filesystem: str, folder: Path) -> bool:
    """Whether a line of a quota table speaks of the folder: by mount point or by device."""
    device = next(
        (
            line.split()[0]
            for line in reversed(Path("/proc/mounts").read_text().splitlines())
            if folder.resolve().is_relative_to(line.split()[1])
            and line.split()[1] == _mount_point(folder)
        ),
        None,
    )
    return filesystem in (_mount_point(folder), device)


def _mount_point(folder: Path) -> str:
    resolved = folder.resolve()
    return next(str(p) for p in [resolved, *resolved.parents] if p.is_mount())


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""  # no such quota here
    return done.stdout
