from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.filesystem import HANDOVER_BYTES, file_facts
from shards.tar import DAMAGED, TarWriter, members

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=90)


def write(path: Path, contents: dict[str, bytes]) -> dict[str, int]:
    writer = TarWriter(path)
    try:
        offsets = {name: writer.add(name, data) for name, data in contents.items()}
        facts = writer.finish()
    finally:
        writer.close()
    assert facts == file_facts(path)
    return offsets


@given(st.dictionaries(NAMES, st.binary(max_size=3000), max_size=8))
@settings(max_examples=60)
def test_what_goes_in_comes_out(contents: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tar"
        offsets = write(path, contents)
        whole = path.read_bytes()
        for name, data in contents.items():
            assert whole[offsets[name] : offsets[name] + len(data)] == data
        found = {member.name: (member.offset, member.bytes) for member in members(path)}
        assert found == {name: (offsets[name], len(data)) for name, data in contents.items()}


def test_the_bytes_are_those_of_the_standard_library(tmp_path: Path) -> None:
    contents = {
        "a.png": b"x" * 700,
        "a.json": b"{}",
        "empty": b"",
        "big": bytes(3 * HANDOVER_BYTES),
    }
    write(tmp_path / "ours.tar", contents)
    with tarfile.open(tmp_path / "theirs.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert (tmp_path / "ours.tar").read_bytes() == (tmp_path / "theirs.tar").read_bytes()


def test_gnu_tar_reads_it(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", {"a-00.source.png": b"abc", "a-00.json": b"{}"})
    done = subprocess.run(
        ["tar", "--list", "--verbose", "--file", tmp_path / "a.tar"],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
    )
    assert done.stderr == ""
    assert "0/0" in done.stdout
    assert "1970-01-01 00:00 a-00.source.png" in done.stdout


def test_names_that_a_header_cannot_hold(tmp_path: Path) -> None:
    writer = TarWriter(tmp_path / "a.tar")
    assert writer.add("n" * 100, b"x") == 512
    # The last would have to be split at its slash, and é takes two bytes.
    for name in ("n" * 101, "é" * 51, "a/" + "n" * 99):
        with pytest.raises(ValueError, match=f"{name}: is too long for a name in a tar, .* 100 b"):
            writer.add(name, b"")
    assert writer.add("after", b"y") == 3 * 512
    facts = writer.finish()
    assert [member.name for member in members(tmp_path / "a.tar")] == ["n" * 100, "after"]
    assert facts == file_facts(tmp_path / "a.tar")


def test_a_new_tar_never_takes_an_old_ones_place(tmp_path: Path) -> None:
    write(tmp_path / "a.tar", {})
    with pytest.raises(FileExistsError):
        TarWriter(tmp_path / "a.tar")


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write(path, {"a": b"x" * 600, "b": b"y"})
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    with pytest.raises(DAMAGED):
        list(members(path))


@pytest.mark.parametrize("num_bytes", [0, 1, 511, 512, 513, 9 * 1024, 10 * 1024, 10 * 1024 + 1])
def test_the_bytes_are_those_of_the_standard_library_at_every_edge(
    tmp_path: Path, num_bytes: int
) -> None:
    write(tmp_path / "ours.tar", {"é.bin": b"z" * num_bytes})
    with tarfile.open(tmp_path / "theirs.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("é.bin")
        info.size = num_bytes
        tar.addfile(info, io.BytesIO(b"z" * num_bytes))
    assert (tmp_path / "ours.tar").read_bytes() == (tmp_path / "theirs.tar").read_bytes()


@pytest.mark.parametrize("length", [100, 512 + 300, 1536 + 100, 1536, 3072, 3072 + 512])
def test_a_tar_that_was_cut_short_is_told(tmp_path: Path, length: int) -> None:
    """Within a header, within a member, between two, before the end, and within it."""
    path = tmp_path / "a.tar"
    write(path, {"a": b"x" * 600, "b": b"y" * 600})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DAMAGED):
        list(members(path))


def test_a_later_header_that_is_damaged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    write(path, {"a": b"x" * 600, "b": b"y" * 600})
    data = bytearray(path.read_bytes())
    data[1536 + 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(DAMAGED, match="neither a member nor the end at byte 1536"):
        list(members(path))
