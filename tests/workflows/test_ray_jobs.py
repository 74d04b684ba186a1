"""`ray job submit` and `ray job stop`: a real cluster with a token, a tree not installed."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shards.events import read as read_events
from shards.owner import writers
from shards.provenance import ROOMS, ROOT, code_version
from shards.verify import verify

RAY = Path(sys.executable).with_name("ray")
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Head:
    """A Ray head of its own: where to submit to, where Prometheus reads, and with what token."""

    dashboard: str
    metrics: str
    environment: dict[str, str]

    def job(self, verb: str, *words: str, tree: Path = ROOT) -> str:
        done = subprocess.run(
            [RAY, "job", verb, "--address", self.dashboard, *words],
            cwd=tree,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        return done.stdout


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def answers(address: tuple[str, int]) -> bool:
    with socket.socket() as one:
        return one.connect_ex(address) == 0


def reads(url: str) -> str:
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


def wait_until(what: Callable[[], object], alive: Callable[[], bool] = lambda: True) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < give_up
        assert alive()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    folder = tmp_path_factory.mktemp("head")
    (folder / "token").write_text(secrets.token_hex(16))
    (folder / "token").chmod(0o600)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "PATH": f"{RAY.parent}:{os.environ['PATH']}",
    }
    names = ("port", "dashboard-port", "dashboard-agent-listen-port", "metrics-export-port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    # Sockets have short paths, and pytest's folders long ones.
    short = Path(f"/tmp/relume-{secrets.token_hex(3)}")
    process = subprocess.Popen(
        [RAY, "start", "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1"]
        + [f"--{name}={port}" for name, port in ports.items()]
        + ["--dashboard-host=127.0.0.1", f"--temp-dir={short}", "--disable-usage-stats"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = ("127.0.0.1", ports["dashboard-port"])
    wait_until(lambda: answers(address), alive=lambda: process.poll() is None)
    yield Head(
        f"http://127.0.0.1:{ports['dashboard-port']}",
        f"http://127.0.0.1:{ports['metrics-export-port']}/metrics",
        environment,
    )
    process.send_signal(signal.SIGTERM)
    process.wait()
    shutil.rmtree(short, ignore_errors=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout that differs from the installed one, and is installed nowhere."""
    tree = tmp_path / "tree"
    for room in ROOMS:
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".rayignore", tree)
    with (tree / "shards/layout.py").open("a") as file:
        file.write("# a change of this checkout\n")
    return tree


def test_what_is_submitted_is_what_runs(
    head: Head, tree: Path, planned: Callable[..., Path]
) -> None:
    dataset = planned("medium")
    program = ["python", "-m", "workflows.generate", str(dataset)]
    said = head.job("submit", "--working-dir", ".", "--", *program, tree=tree)
    assert "10 of 10 shards exist" in said
    assert list(verify(dataset)) == []
    ran = json.loads((dataset / "generator.json").read_bytes())["code"]
    asked = subprocess.run(
        [sys.executable, "-c", "from shards.provenance import *; print(code_version())"],
        cwd=tree,
        env=head.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran == asked.stdout.strip()
    assert ran != code_version()
    # What Prometheus reads of it, some seconds later.
    wanted = 'worker="GenerateShard"'
    wait_until(lambda: wanted in reads(head.metrics))


def test_a_job_is_stopped_in_order(head: Head, tree: Path, planned: Callable[..., Path]) -> None:
    dataset = planned("medium", "--dataset.count", "100000")
    program = ["python", "-m", "workflows.generate", str(dataset)]
    said = head.job("submit", "--no-wait", "--working-dir", ".", "--", *program, tree=tree)
    job = next(word.strip("'") for word in said.split() if word.startswith("'raysubmit_"))
    wait_until(lambda: list(dataset.glob("train/*.done.json")))
    head.job("stop", job)
    assert "stopped by SIGTERM; the same command continues" in head.job("logs", job)
    (stopped,) = [event for event in read_events(dataset) if event["kind"] == "run-stopped"]
    assert stopped["facts"]["why"] == "SIGTERM"
    assert writers(dataset) == []
    # What is published is sound, and nothing else is wrong than that the rest is missing.
    kinds = {problem.kind for problem in verify(dataset)}
    assert kinds <= {"not made yet", "stale"}


def test_a_stranger_without_the_token_is_refused(head: Head) -> None:
    environment = head.environment | {"RAY_AUTH_TOKEN_PATH": "/nowhere"}
    with pytest.raises(subprocess.CalledProcessError):
        Head(head.dashboard, head.metrics, environment).job("list")
