"""`relume generate` on a real Ray, as an operator starts it; the outcome is that of one process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shards.events import read as read_events
from shards.verify import verify

# What tells the processor and the code of the run that began.
OF_A_RUN = ("generator.json", "run.json")
# `make faults` asks for two hundred.
SEEDED_MOMENTS = int(os.environ.get("RELUME_FAULTS", "8"))
# An undisturbed run takes about so long, of which Ray's start is the most.
LONGEST_S = 8.0


def start(dataset: Path, *options: str, start_new_session: bool = False) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workflows.generate", str(dataset), *options],
        env=os.environ | {"PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=start_new_session,
    )


def finish(driver: subprocess.Popen[str]) -> str:
    out, err = driver.communicate()
    assert driver.returncode == 0, err
    return out


def test_the_same_bytes_as_in_one_process(
    files: Callable[..., dict[str, bytes]], planned: Callable[..., Path], generated: Path
) -> None:
    dataset = planned("medium")
    finish(start(dataset))
    assert list(verify(dataset)) == []
    assert files(dataset, *OF_A_RUN) == files(generated, *OF_A_RUN)
    workers = [event for event in read_events(dataset) if event["kind"] == "worker-lost"]
    assert workers == []


def test_nothing_outstanding_needs_no_ray(generated: Path) -> None:
    driver = start(generated, "--address", "127.0.0.1:1")
    assert "made now  nothing" in finish(driver)


def test_a_driver_killed_at_any_moment_loses_nothing(
    files: Callable[..., dict[str, bytes]], planned: Callable[..., Path], generated: Path
) -> None:
    """Kill -9 at seeded moments of loading, making and publishing; then the same command."""
    chance = random.Random(0)
    kills = rounds = 0
    while kills < SEEDED_MOMENTS:
        rounds += 1
        dataset = planned("medium", folder=f"round-{rounds}")
        while True:
            driver = start(dataset)
            patience_s = chance.uniform(0, LONGEST_S) if kills < SEEDED_MOMENTS else None
            try:
                _, said = driver.communicate(timeout=patience_s)
                break
            except subprocess.TimeoutExpired:
                driver.send_signal(signal.SIGKILL)
                driver.communicate()
                kills += 1
        assert driver.returncode == 0, said
        assert list(verify(dataset)) == []
        assert files(dataset, *OF_A_RUN) == files(generated, *OF_A_RUN)
        print(f"{kills} kills of {SEEDED_MOMENTS}")


def test_of_two_parts_one_is_lost_and_made_by_the_other_command(
    files: Callable[..., dict[str, bytes]], planned: Callable[..., Path], generated: Path
) -> None:
    """Two drivers on Ray at once; one is killed for good, and the other does not care."""
    dataset = planned("medium")
    lost, whole = start(dataset, "--part", "1/2"), start(dataset, "--part", "2/2")
    while lost.poll() is None and not list(dataset.glob("train/*.done.json")):
        time.sleep(0.005)  # until something is published by either
    lost.send_signal(signal.SIGKILL)
    lost.communicate()
    finish(whole)
    finish(start(dataset))
    assert list(verify(dataset)) == []
    assert files(dataset, *OF_A_RUN) == files(generated, *OF_A_RUN)
    assert "took-over" in [event["kind"] for event in read_events(dataset)]


def test_a_relative_path_under_a_ray_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from workflows.cli import main

    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert main(["generate", "somewhere"]) == 2
    assert "under a Ray job the dataset's path must be absolute" in capsys.readouterr().err


def test_sigterm_to_the_whole_group_is_told_as_such(planned: Callable[..., Path]) -> None:
    """As Slurm's scancel does it: the processes of a local Ray get it too."""
    dataset = planned("medium", "--dataset.size-px", "512")
    driver = start(dataset, start_new_session=True)
    while driver.poll() is None and not list(dataset.glob("*/*.done.json")):
        time.sleep(0.01)
    os.killpg(driver.pid, signal.SIGTERM)
    _, told = driver.communicate()
    assert (driver.returncode, told.strip().splitlines()[-1]) == (
        143,
        "stopped by SIGTERM; the same command continues",
    )
    assert [e["facts"]["why"] for e in read_events(dataset) if e["kind"] == "run-stopped"] == [
        "SIGTERM"
    ]
    finish(start(dataset))
    assert list(verify(dataset)) == []
