from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    name = space._mount_point(tmp_path)
    command = tmp_path / "lfs"
    command.write_text(f"#!/bin/sh\necho '{name} 10 0 20 - 1 0 5 -'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert Room(f"the lfs of {name}", 10 * 1024, 4) in room_left(tmp_path)


LFS_SERVER_DOWN = """\
Disk quotas for usr 1000 (uid 1000):
     Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
       /scratch [9000000]* 0 [11000000] -  [95]       0     100       -
Some errors happened when getting quota info. Some devices may be not working or deactivated. \
The data in "[]" is inaccurate.
"""
LFS_TWO = """\
Disk quotas for usr 1000 (uid 1000):
     Filesystem  kbytes   quota   limit   grace   files   quota   limit   grace
/lustre/projects/others
                 1000       0    2000       -     10       0     100       -
/lustre/projects/portraits
                 1500       0    2000       -     10       0       0       -
"""


def test_what_lustre_sets_in_brackets_counts() -> None:
    """The last that is known; to call it nothing would promise room that is not there."""
    found = list(parse_quota("lfs", LFS_SERVER_DOWN, {"/scratch"}))
    assert found == [Room("the lfs of /scratch", 2_000_000 * 1024, 5)]


def test_a_broken_line_belongs_to_the_name_before_it() -> None:
    found = list(parse_quota("lfs", LFS_TWO, {"/lustre/projects/portraits"}))
    assert found == [Room("the lfs of /lustre/projects/portraits", 500 * 1024, None)]


def test_nothing_is_left_over_a_limit_and_a_soft_limit_counts_alone() -> None:
    line = "/x 3000* 1000 2000 6d 30* 20 0 6d"
    assert list(parse_quota("lfs", line, {"/x"})) == [Room("the lfs of /x", 0, 0)]
    assert list(parse_quota("lfs", "/x 1 0 0 - 1 0 0 -", {"/x"})) == [
        Room("the lfs of /x", None, None)
    ]


@given(st.text())
def test_no_output_is_a_crash(text: str) -> None:
    assert list(parse_quota("lfs", text, {"/scratch"})) == []
    for room in parse_quota("lfs", f"/scratch {text}", {"/scratch"}):
        assert room.bytes is None or room.bytes >= 0


def command(folder: Path, name: str, script: str, mode: int = 0o755) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(mode)


def test_lfs_is_asked_about_the_mount_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real lfs repeats the path that it was given, whatever the file system is called."""
    command(tmp_path, "lfs", 'for last; do :; done; echo "$last 10 0 20 - 1 0 5 -"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    below = tmp_path / "not" / "there"
    assert Room(f"the lfs of {space._mount_point(tmp_path)}", 10 * 1024, 4) in room_left(below)


@pytest.mark.parametrize(
    ("script", "mode"),
    [("exit 1", 0o755), ("printf '\\377\\376 quota'", 0o755), ("", 0o644), ("kill -9 $$", 0o755)],
)
def test_a_quota_that_cannot_be_asked_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, mode: int
) -> None:
    for name in ("lfs", "quota"):
        command(tmp_path, name, script, mode)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [room.limit for room in room_left(tmp_path)] == ["the disk"]
