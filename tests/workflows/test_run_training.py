"""A job whose predecessor was killed waits until that one is silent for long enough."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from schemas.endings import CannotGoOn
from shards.owner import SILENT_S, Held, Owner
from workflows.run_training import owner_once_free


def held_elsewhere(run: Path, silent_s: float) -> None:
    """As a driver on another machine leaves it that was killed so long ago."""
    with Owner(run):
        (path,) = (run / "owners").iterdir()
        holder = json.loads(path.read_bytes()) | {"machine": "another", "job": "7"}
    other = run / "owners/all-000009.json"
    other.write_text(json.dumps(holder))
    then = time.time() - silent_s
    os.utime(other, (then, then))


def test_one_that_was_killed_lately_is_waited_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    held_elsewhere(tmp_path, SILENT_S - 3)
    with pytest.raises(Held, match="Slurm job 7"):
        Owner(tmp_path)
    with owner_once_free(tmp_path, lambda: False) as owner:
        assert [one.job for one in owner.took_over] == ["7"]
    assert capfd.readouterr().err.count("waits: ") == 1


def test_who_is_told_to_stop_waits_no_longer(tmp_path: Path) -> None:
    held_elsewhere(tmp_path, 0)
    # No wrong input: the next attempt may find it free.
    with pytest.raises(CannotGoOn, match="being written by process"):
        owner_once_free(tmp_path, lambda: True)
