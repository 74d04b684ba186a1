"""`relume train` from a command line: killed, stopped and short of room, it ends the same."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch import Tensor

from shards.owner import Owner
from tests.training_runs import differing, state_of
from workflows import cli

ROOT = Path(__file__).parents[2]
ON_A_FULL_DISK = Path(__file__).with_name("training_on_a_full_disk.py")
PRESET = """
[train.network]
kind = "resnet"
width = 4
num_blocks = 1
attention = "esa"
residual_output = true
[train.objective]
kind = "cyclegan"
pool = 3
discriminator = {width = 4, num_layers = 2}
[[train.phase]]
epochs = 3
batch_size = 4
[train.data]
pairing = "shuffled"
loader_workers = 0
[train.optimiser]
ema_half_life_images = 20
[train.validation]
count = 2
grid = 1
[train.record]
save_every_steps = 1
"""


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("preset") / "small.toml"
    path.write_text(PRESET)
    return path


@pytest.fixture(scope="module")
def dataset(_generated_once: Path) -> Path:
    """What all tests train on; it is only read."""
    return _generated_once


@pytest.fixture(scope="module")
def undisturbed(
    preset: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Tensor]:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    finish(start(preset, dataset, run))
    return state_of(run)


def start(
    preset: Path, dataset: Path, run: Path, *options: str, **env: str
) -> subprocess.Popen[str]:
    words = [str(preset), "--data", str(dataset), "--out", str(run), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "workflows.train", *words],
        cwd=ROOT,
        env=os.environ | env,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """What it says until its end."""
    said = process.communicate()[1]
    assert process.returncode == code, said
    return said


def steps_saved(run: Path) -> int:
    try:
        return int(json.loads((run / "state/LAST").read_text())["steps_done"])
    except FileNotFoundError:
        return 0


def wait_for(run: Path, steps: int, process: subprocess.Popen[str]) -> None:
    while steps_saved(run) < steps:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)


def test_killed_at_any_moment_it_ends_with_the_same_weights(
    preset: Path, dataset: Path, tmp_path: Path, undisturbed: dict[str, Tensor]
) -> None:
    chance, run = random.Random(5), tmp_path / "run"
    for step in (1, 5, 14, 22):
        process = start(preset, dataset, run)
        wait_for(run, step, process)
        time.sleep(0.1 * chance.random())
        process.kill()
        finish(process, -signal.SIGKILL)
    finish(start(preset, dataset, run))
    assert differing(run, undisturbed) == []
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps))
    assert {path.name for path in run.iterdir()} >= {"head", "grids", "run.json", "state"}
    assert "steps were done before" in finish(start(preset, dataset, run))


def test_sigterm_saves_and_is_told_as_such(
    preset: Path, dataset: Path, tmp_path: Path, undisturbed: dict[str, Tensor]
) -> None:
    run, rare = tmp_path / "run", ("--record.save-every-steps", "4")
    process = start(preset, dataset, run, *rare)
    wait_for(run, 4, process)
    process.terminate()
    said = finish(process, 143)
    assert "stopped by SIGTERM; the same command continues" in said
    assert f"stopped after step {steps_saved(run)}, state saved" in said
    assert "continues after step" in finish(start(preset, dataset, run, *rare))
    assert differing(run, undisturbed) == []


def descendants(process: int) -> dict[int, str]:
    """Who descends from a process, and when each began: its id alone may come again."""
    found = {}
    for task in Path(f"/proc/{process}").glob("task/*"):
        try:
            children = (task / "children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that has just ended
        for child in map(int, children):
            found |= {child: began(child)} | descendants(child)
    return found


def began(process: int) -> str:
    """When a process began; empty where it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def assert_gone(processes: dict[int, str]) -> None:
    limit = time.monotonic() + 30
    while left := [one for one, then in processes.items() if began(one) == then]:
        assert time.monotonic() < limit, f"{left} still live"
        time.sleep(0.05)


def test_two_processes_with_readers_of_their_own_leave_nobody_behind(
    preset: Path, dataset: Path, tmp_path: Path
) -> None:
    run, two = tmp_path / "run", ("--processes", "2", "--data.loader-workers", "2")
    process = start(preset, dataset, run, *two)
    wait_for(run, 1, process)
    all_of_them = descendants(process.pid)
    # The second process, two readers each, and at least a tracker of resources.
    assert len(all_of_them) >= 6
    process.kill()
    finish(process, -signal.SIGKILL)
    assert_gone(all_of_them)
    # SIGTERM to all of them at once still saves, and leaves nobody either.
    process = start(preset, dataset, run, *two)
    wait_for(run, steps_saved(run) + 1, process)
    all_of_them = descendants(process.pid)
    os.killpg(process.pid, signal.SIGTERM)
    said = finish(process, 143)
    assert f"stopped after step {steps_saved(run)}, state saved" in said
    assert_gone(all_of_them)


def second_process(first: int) -> int:
    for child in Path(f"/proc/{first}/task/{first}/children").read_text().split():
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise AssertionError("no second process")


def test_a_process_that_dies_ends_the_others_in_one_line(
    preset: Path, dataset: Path, tmp_path: Path
) -> None:
    run, two = tmp_path / "run", ("--processes", "2")
    process = start(preset, dataset, run, *two)
    wait_for(run, 2, process)
    subprocess.run(["kill", "-9", str(second_process(process.pid))], check=True)
    said = finish(process, 1)
    (line,) = [one for one in said.splitlines() if one.startswith("error: ")]
    assert line == "error: process 1 was ended by signal 9; the same command continues"
    assert "Traceback" not in said
    finish(start(preset, dataset, run, *two))


def test_where_torchrun_started_them_the_other_says_that_the_first_is_gone(
    preset: Path, dataset: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    ranks = [
        start(preset, dataset, run, RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2", **meet)
        for rank in ("0", "1")
    ]
    wait_for(run, 2, ranks[0])
    ranks[0].kill()
    said = finish(ranks[1], 1)
    (line,) = [one for one in said.splitlines() if one.startswith("error: ")]
    assert line == (
        "error: process 1: another process is gone; see what it said last; "
        "the same command continues"
    )
    assert "Traceback" not in said
    finish(ranks[0], -signal.SIGKILL)


def test_a_full_disk_leaves_the_state_before_it(
    preset: Path, dataset: Path, tmp_path: Path, undisturbed: dict[str, Tensor]
) -> None:
    program = [ON_A_FULL_DISK, preset, dataset, tmp_path]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", sys.executable, *program],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    faults = [json.loads(line) for line in done.stdout.splitlines()]
    assert any(fault["steps_saved"] > 0 for fault in faults)
    for number, fault in enumerate(faults):
        assert fault["code"] == 1, fault
        assert "No space left on device" in fault["said"], fault
        assert "the same command continues" in fault["said"], fault
        assert "Traceback" not in fault["said"], fault
        # Once there is room, from where it was to the same end.
        assert fault["rerun"] == 0, fault
        assert differing(tmp_path / f"run-{number}", undisturbed) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--unknown", "1"], "unknown"),
        (["--optimiser.lerning-rate", "1"], "did you mean 'learning_rate'"),
        (["--optimiser.learning-rate", "-1"], "learning_rate = -1: should be greater than 0"),
        (["--phase", "{epochs = 1, batch_size = 3, accumulation = 2}"], "choose a divisor"),
        (["--processes", "0"], "--processes 0: should be at least 1"),
        (["--numerics.device", "cuda"], "no CUDA device is seen"),
        (["--selection", "nowhere.parquet"], "nowhere.parquet"),
        (["--data", "nowhere"], "nowhere"),
    ],
)
def test_wrong_words(
    options: list[str],
    told: str,
    preset: Path,
    dataset: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = [str(preset), "--data", str(dataset), "--out", str(tmp_path / "run")]
    assert cli.main(["train", *words, *options]) == 2
    said = capfd.readouterr().err
    assert told in said
    assert "Traceback" not in said


def test_a_run_has_one_owner(
    preset: Path, dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = [str(preset), "--data", str(dataset), "--out", str(run)]
    with Owner(run):
        assert cli.main(["train", *words]) == 2
    said = capfd.readouterr().err
    assert f"{run}: is being written by process {os.getpid()}" in said
    assert not (run / "metrics.jsonl").exists()


def test_what_is_no_run_is_not_written_over(
    preset: Path, dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "notes"
    other.mkdir()
    (other / "report.json").write_text("{}")
    for out in (dataset, other):
        before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
        assert cli.main(["train", str(preset), "--data", str(dataset), "--out", str(out)]) == 2
        assert "holds something else than a training run" in capfd.readouterr().err
        assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before
