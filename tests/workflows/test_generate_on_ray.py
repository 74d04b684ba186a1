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

OF_A_RUN = {"events.jsonl", "owners", "quarantine", ".staging", "generator.json", "run.json"}
SEEDED_MOMENTS = 4


def start(dataset: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workflows.generate", str(dataset), *options],
        env=os.environ | {"PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(driver: subprocess.Popen[str]) -> str:
    out, err = driver.communicate()
    assert driver.returncode == 0, err
    return out


def files(dataset: Path) -> dict[str, bytes]:
    return {
        path.relative_to(dataset).as_posix(): path.read_bytes()
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and path.relative_to(dataset).parts[0] not in OF_A_RUN
    }


def test_the_same_bytes_as_in_one_process(planned: Callable[..., Path], generated: Path) -> None:
    dataset = planned("medium")
    finish(start(dataset))
    assert list(verify(dataset)) == []
    assert files(dataset) == files(generated)
    workers = [event for event in read_events(dataset) if event["kind"] == "worker-lost"]
    assert workers == []


def test_nothing_outstanding_needs_no_ray(generated: Path) -> None:
    driver = start(generated, "--address", "127.0.0.1:1")
    assert "made now  nothing" in finish(driver)


def test_a_driver_killed_at_any_moment_loses_nothing(
    planned: Callable[..., Path], generated: Path
) -> None:
    """Kill -9 while shards are being published, at seeded moments, then the same command."""
    dataset = planned("medium")
    moments = random.Random(0).sample(range(1, 10), SEEDED_MOMENTS)
    for shards in sorted(moments):
        driver = start(dataset)
        while driver.poll() is None and len(list(dataset.glob("*/*.done.json"))) < shards:
            time.sleep(0.005)  # until the moment has come, or the run is over
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
    finish(start(dataset))
    assert list(verify(dataset)) == []
    assert files(dataset) == files(generated)


def test_a_relative_path_under_a_ray_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from workflows.cli import main

    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert main(["generate", "somewhere"]) == 2
    assert "under a Ray job the dataset's path must be absolute" in capsys.readouterr().err
