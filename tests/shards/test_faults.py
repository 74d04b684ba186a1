"""A disk that fills up at any moment of a run, and one that becomes read-only while publishing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("on_a_failing_disk.py")
ROOT = PROGRAM.parents[2]


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory, small_config: Path) -> list[dict]:
    work = tmp_path_factory.mktemp("failing")
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", sys.executable, PROGRAM, work, small_config],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_error_names_the_file_and_the_mend(faults: list[dict]) -> None:
    full = [fault for fault in faults if "No space left on device" in fault["said"]]
    places = " ".join(fault["said"] for fault in full)
    for step in (".staging/tmp-", "/tar", "/parquet"):
        assert step in places, step
    read_only = [fault for fault in faults if "Read-only file system" in fault["said"]]
    assert len(read_only) == 4
    for fault in full + read_only:
        assert fault["code"] == 1
        assert "the same command continues" in fault["said"]
        assert "Traceback" not in fault["said"]
    assert len(full) + len(read_only) + sum(fault["code"] == 0 for fault in faults) == len(faults)


def test_the_same_command_continues(faults: list[dict]) -> None:
    assert faults[-1]["code"] == 0
    for fault in faults:
        assert (fault["rerun"], fault["problems"]) == (0, []), fault
        assert fault["digest"] == faults[-1]["digest"], fault
