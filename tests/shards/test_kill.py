"""Kill -9 at every step of planning, staging, publishing and deriving."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killed_at_every_step.py")
ROOT = PROGRAM.parents[2]


@pytest.fixture(scope="module")
def all_kills(tmp_path_factory: pytest.TempPathFactory, small_config: Path) -> list[dict]:
    work = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, PROGRAM, work, small_config],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def kills(all_kills: list[dict]) -> list[dict]:
    return [kill for kill in all_kills if kill["what"] == "making"]


@pytest.fixture
def kills_of_mending(all_kills: list[dict]) -> list[dict]:
    return [kill for kill in all_kills if kill["what"] == "mending"]


def test_every_step_was_reached(kills: list[dict]) -> None:
    *killed, undisturbed = kills
    assert undisturbed["status"] == 0
    assert [kill["at"] for kill in killed] == list(range(1, undisturbed["steps"] + 1))
    # Two shards of three files each: none, one and both must have been there at some kill.
    assert {kill["published"] for kill in killed} == {0, 3, 6}


def test_what_is_published_stays_valid(kills: list[dict]) -> None:
    assert [kill for kill in kills[:-1] if kill["unsound"] or not kill["kept"]] == []


def test_a_rerun_completes(kills: list[dict]) -> None:
    assert [kill for kill in kills[:-1] if kill["rerun"] != 0 or kill["problems"]] == []


def test_the_result_is_byte_identical_to_an_undisturbed_run(kills: list[dict]) -> None:
    undisturbed = _bytes_of(Path(kills[-1]["dataset"]))
    assert len(undisturbed) == 14
    for kill in kills[:-1]:
        assert _bytes_of(Path(kill["dataset"])) == undisturbed, kill


def test_mending_may_be_killed_at_every_step_too(
    kills: list[dict], kills_of_mending: list[dict]
) -> None:
    *killed, undisturbed = kills_of_mending
    assert undisturbed["status"] == 0
    assert [kill["at"] for kill in killed] == list(range(1, undisturbed["steps"] + 1))
    assert [kill for kill in killed if kill["rerun"] != 0 or kill["problems"]] == []
    wanted = _bytes_of(Path(kills[-1]["dataset"]))
    for kill in kills_of_mending:
        assert _bytes_of(Path(kill["dataset"])) == wanted, kill


def _bytes_of(dataset: Path) -> dict[str, bytes]:
    """All files but those that tell of single runs."""
    return {
        path.relative_to(dataset).as_posix(): path.read_bytes()
        for path in sorted(dataset.rglob("*"))
        if path.is_file()
        and path.relative_to(dataset).parts[0]
        not in {"events.jsonl", "owners", "quarantine", ".staging"}
    }
