from __future__ import annotations

from pathlib import Path

import pytest

from shards import space
from shards.space import Room, parse_quota, room_left

LFS = """\
Disk quotas for usr 1000 (uid 1000):
      Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
        /scratch 9000000  10000000 11000000       -  950000* 900000 1000000  6d23h
uid 1000 is using default file quota setting
"""
LFS_LONG = """\
Disk quotas for usr 1000 (uid 1000):
      Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
/lustre/projects/portraits
                 1000       0       0       -     10       0     100       -
"""
QUOTA = """\
Disk quotas for user me (uid 1000):
     Filesystem   blocks   quota   limit   grace   files   quota   limit   grace
/dev/sda1  500  1000  0  0  20  0  0  0
server:/home  900*  800  1000  1700000000  20  0  0  0
"""


def test_lustre() -> None:
    found = list(parse_quota("lfs", LFS, {"/scratch"}))
    assert found == [Room("the lfs of /scratch", 2_000_000 * 1024, 50_000)]


def test_lustre_breaks_the_line_after_a_long_name() -> None:
    found = list(parse_quota("lfs", LFS_LONG, {"/lustre/projects/portraits"}))
    assert found == [Room("the lfs of /lustre/projects/portraits", None, 90)]


def test_quota_of_the_right_file_system() -> None:
    assert list(parse_quota("quota", QUOTA, {"/dev/sda1", "/"})) == [
        Room("the quota of /dev/sda1", 500 * 1024, None)
    ]
    assert list(parse_quota("quota", QUOTA, {"server:/home"})) == [
        Room("the quota of server:/home", 100 * 1024, None)
    ]
    assert list(parse_quota("quota", "quota: not found", {"/"})) == []


def test_the_disk_is_always_asked(tmp_path: Path) -> None:
    rooms = room_left(tmp_path / "not" / "there" / "yet")
    assert rooms[0].limit == "the disk"
    assert rooms[0].bytes is not None
    assert rooms[0].bytes > 0


def test_the_quota_of_this_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real command on the path, which answers for the file system of the folder."""
    (name, *_) = (n for n in space._names_of_filesystem(tmp_path) if n.startswith("/"))
    command = tmp_path / "lfs"
    command.write_text(f"#!/bin/sh\necho '{name} 10 0 20 - 1 0 5 -'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert Room(f"the lfs of {name}", 10 * 1024, 4) in room_left(tmp_path)
