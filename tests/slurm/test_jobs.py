"""What is tried again, what is given up, and what is refused before it is submitted."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from slurm.attempts import Attempts
from tests.slurm.conftest import ROOT, Submitted, relume
from tests.slurm.lab import Lab, until

Train = Callable[..., Submitted]
SHORT = ("--phase", "{epochs = 1, batch_size = 8, crop_px = 32}")
# Runs what it is given, but for the ranks of some jobs.
FAILS = """#!/bin/sh
case "$*" in *submitit*) case "${SLURM_ARRAY_TASK_ID:-all}" in WHICH) exit 7 ;; esac ;; esac
exec "$@"
"""


def failing(folder: Path, which: str) -> Path:
    path = folder / "fails.sh"
    path.write_text(FAILS.replace("WHICH", which))
    path.chmod(0o755)
    return path


def test_what_fails_at_once_is_given_up_after_three_attempts(
    lab: Lab, train: Train, tmp_path: Path
) -> None:
    wrapper = failing(tmp_path, "all")
    job = train("fails", "--slurm.nodes", "1", "--slurm.wrapper", str(wrapper))
    job.wait_for_end()
    assert job.ends() == ["failed", "failed", "given up"]
    why = "3 attempts in a row saved nothing new; the last one: failed"
    assert why in job.log()
    listed = lab.run(*relume("jobs", job.run), check=False, cwd=ROOT)
    assert why in listed
    assert "the same command submits them again" in listed
    (told,) = json.loads(lab.run(*relume("jobs", job.run, "--json"), check=False, cwd=ROOT))
    assert told["state"] == "given up"
    assert not told["outstanding"]


def test_wrong_input_is_not_tried_again_and_told_to_whoever_waits(
    lab: Lab, preset: Path, pairs: Path, shared: Path
) -> None:
    said = waited_for(lab, preset, pairs, shared / "wrong", "--numerics.device", "cuda")
    assert "given up: rank 0 on node1: numerics.device = 'cuda': no CUDA device" in said
    (attempt,) = Attempts(shared / "wrong").all()
    assert attempt.ended == "given up"


def waited_for(lab: Lab, preset: Path, data: Path, run: Path, *options: str) -> str:
    """The error of a run that is waited for and ends badly."""
    words = relume("train", preset, "--data", data, "--out", run, "--launcher", "slurm", "--wait")
    script = f"{shlex.join([*words, '--slurm.nodes', '1', *options])}; echo ended with $?"
    *_, error, code = lab.run("sh", "-c", script, cwd=ROOT).splitlines()
    assert code == "ended with 1"
    assert error.startswith("error: job ")
    return error


def test_out_of_memory(lab: Lab, train: Train) -> None:
    """Slurm itself ends what takes more than it was asked for."""
    job = train("hungry", "--slurm.nodes", "1", "--slurm.memory-gb", "2", hold=0)
    (job.brake / "eat").touch()
    job.wait_for_end()
    assert job.ends() == ["failed", "failed", "given up"]
    assert "exceeded memory limit" in job.log()
    listed = lab.run(*relume("jobs", job.run), check=False, cwd=ROOT)
    assert "3 attempts in a row saved nothing new" in listed
    assert "signal 9, perhaps out of memory (slurm.memory_gb)" in listed


def test_a_run_that_no_node_sees(lab: Lab, preset: Path, pairs: Path) -> None:
    """On the login host a plain folder, on the nodes another disk."""
    run = Path(tempfile.mkdtemp(dir="/tmp/local"))
    try:
        said = waited_for(lab, preset, pairs, run)
    finally:
        shutil.rmtree(run)
    assert f"could not write its log: the nodes do not see {run}" in said


def test_a_dataset_that_no_node_sees(lab: Lab, preset: Path, pairs: Path, shared: Path) -> None:
    data = Path(tempfile.mkdtemp(dir="/tmp/local")) / "pairs"
    shutil.copytree(pairs, data)
    try:
        options = ("--slurm.max-failures", "1")
        said = waited_for(lab, preset, data, shared / "blind", *options)
    finally:
        shutil.rmtree(data.parent)
    assert f"node1 does not see {data}; use a disk that all nodes see" in said


def test_one_node_that_does_not_see_the_run(lab: Lab, train: Train, shared: Path) -> None:
    lab.on("node2", "mount", "-t", "tmpfs", "tmpfs", shared)
    try:
        job = train("half-blind", "--slurm.nodes", "2", "--slurm.max-failures", "1")
        job.wait_for_end()
    finally:
        lab.on("node2", "umount", shared)
    (attempt,) = job.attempts()
    assert str(attempt["why"]).endswith("use a disk that all nodes see, or leave that node out")
    assert f"node2 does not see {job.run}/code" in str(attempt["why"])


def test_a_node_without_the_interpreter(lab: Lab, train: Train) -> None:
    job = train("no-python", "--slurm.nodes", "1", "--slurm.python", "/nowhere/python")
    job.wait_for_end()
    assert job.ends() == []
    listed = lab.run(*relume("jobs", job.run), check=False, cwd=ROOT)
    assert "/nowhere/python is not on node" in listed
    assert "see slurm.python" in listed


@pytest.mark.parametrize(
    ("option", "told"),
    [("modules", "module nowhere/1 is not on node"), ("wrapper", "nowhere/1 is not on node")],
)
def test_a_node_without_what_ranks_begin_with(
    option: str, told: str, lab: Lab, train: Train
) -> None:
    job = train(f"no-{option}", "--slurm.nodes", "1", f"--slurm.{option}", "nowhere/1")
    job.wait_for_end()
    assert job.ends() == []
    listed = lab.run(*relume("jobs", job.run), check=False, cwd=ROOT)
    assert told in listed
    assert f"see slurm.{option}" in listed


def test_shards_on_the_nodes_own_disks(lab: Lab, train: Train) -> None:
    job = train("staged", *SHORT, "--slurm.nodes", "2", "--stage-to", "/tmp/local")
    job.wait_for_end()
    assert job.ends() == ["finished"]
    assert "shards from /tmp/local/pairs-" in job.log()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--slurm.partition", "hihg"], "'hihg' is unknown here; did you mean 'high'?"),
        (["--slurm.partition", "low,hihg"], "'hihg' is unknown here; did you mean 'high'?"),
        (["--slurm.partition", "low,high", "--slurm.nodes", "5"], "nodes = 5: low has 4"),
        (["--slurm.gpus-per-node", "8"], "gpus_per_node = 8: a node of low has 4"),
        (["--slurm.nodes", "5"], "nodes = 5: low has 4"),
        (["--slurm.cpus-per-task", "64"], "a node of low has 16 processors"),
        (["--slurm.memory-gb", "999"], "memory_gb = 999"),
        (["--slurm.hours", "13"], "hours = 13: partition low allows 12"),
        (["--slurm.constraint", "a100"], "no node of low has the feature 'a100'"),
        (["--slurm.hours", "0.1", "--slurm.save-before-end-s", "600"], "raise hours or lower"),
        (["--slurm.account", "chemistry"], "slurm.account = 'chemistry': Slurm refuses it"),
        (["--slurm.qos", "short"], "slurm.qos = 'short': Slurm refuses it"),
        (["--slurm.options", "{qos = 'x', bogus = 'y'}"], "slurm: the job is refused"),
        (["--out", "/dev/shm/run"], "tmpfs of this machine, which compute nodes cannot see"),
        (["--out", "runs/50%"], "runs/50%: Slurm puts a number in the place of what follows %"),
        (["--stage-to", "local"], "--stage-to local: should begin with /"),
        (["--wait", "--launcher", "local"], "belong to --launcher slurm"),
    ],
)
def test_refused_before_it_is_submitted(
    options: list[str], told: str, lab: Lab, preset: Path, pairs: Path, tmp_path: Path
) -> None:
    words = [preset, "--data", pairs, "--out", tmp_path / "run", "--launcher", "slurm", *options]
    said = lab.run(*relume("train", *words), check=False, cwd=ROOT)
    assert len([line for line in said.splitlines() if line.startswith("error: ")]) == 1
    assert "Traceback" not in said
    assert told in said
    assert not lab.run("squeue", "-h").strip()


def test_one_job_of_a_run_at_a_time_and_from_within_a_job(
    lab: Lab, train: Train, preset: Path, pairs: Path
) -> None:
    job = train("one", *SHORT, "--slurm.nodes", "1")
    again = lab.run(*relume("train", *job.words), check=False, cwd=ROOT)
    assert f"job {job.job} is" in again
    assert "scancel" in again
    lab.run("scancel", job.job)
    job.wait_for_end()
    # As from within a job: its variables do not reach the other one.
    env = {"SLURM_JOB_ID": "99", "SLURM_NTASKS": "7", "SLURM_NODELIST": "nowhere"}
    words = ["env", *(f"{key}={value}" for key, value in env.items())]
    lab.run(*words, *relume("train", *job.words, *SHORT, "--slurm.nodes", "1", "--wait"), cwd=ROOT)
    assert job.ends()[-1] == "finished"


def test_twelve_cells_with_two_failures(
    lab: Lab, pairs: Path, preset: Path, shared: Path, tmp_path: Path
) -> None:
    # The last job of an array has the array's own number.
    wrapper = failing(tmp_path, "3|11")
    (shared / "sweep.toml").write_text(SWEEP.replace("@", str(wrapper)))
    out = shared / "sweep"
    words = [shared / "sweep.toml", "--data", pairs, "--out", out, "--launcher", "slurm"]
    said = lab.run(*relume("sweep", *words), check=False, cwd=ROOT)
    assert "12 cells submitted" in said
    # While it runs, the same command shows what there is.
    said = lab.run(*relume("sweep", *words), check=False, cwd=ROOT)
    assert "nothing is submitted while job" in said
    assert "The parts apart" in said
    until(lambda: not lab.run("squeue", "-h").strip(), "the array's end")
    listed = lab.run(*relume("jobs", out), check=False, cwd=ROOT)
    assert listed.count("given up") >= 2
    assert listed.count("finished") == 10
    # Of the twelve those two alone were tried again.
    told = json.loads(lab.run(*relume("jobs", out, "--json"), check=False, cwd=ROOT))
    tried = [one["attempts"] for one in told]
    assert tried == [2 if cell in (3, 11) else 1 for cell in range(12)]
    # Mended, the same command submits the two, and shows what there is.
    failing(tmp_path, "none")
    said = lab.run(*relume("sweep", *words), check=False, cwd=ROOT)
    assert "2 cells submitted" in said
    assert "2 cells not done" in said
    until(lambda: not lab.run("squeue", "-h").strip(), "the two cells' end")
    said = lab.run(*relume("sweep", *words, "--show"), check=False, cwd=ROOT)
    assert "The choice, screen" in said
    assert "1 cell not done, for example final/" in said
    tables = (out / "tables.md").read_text()
    assert "## Table 2: CycleGAN, screen" in tables
    assert (out / "sweep.png").exists()


SWEEP = """
[sweep]
finalists = 1
identity_floor = 0.1
at_once = 4
[[sweep.grid]]
name = "cyclegan"
title = "Table 2: CycleGAN"
preset = "small.toml"
axes = {"objective.lambda_cycle" = [10, 5, 2], "optimiser.learning_rate" = [1e-4, 2e-4, 3e-4]}
[[sweep.grid]]
name = "esa"
title = "Table 3: ESA-CycleGAN"
preset = "small.toml"
axes = {"objective.lambda_cycle" = [10, 5, 2]}
[sweep.screen]
phase = [{epochs = 1, batch_size = 8}]
[sweep.final]
phase = [{epochs = 2, batch_size = 8}]
[slurm]
gpus_per_node = 1
cpus_per_task = 1
hours = 1
max_failures = 2
wrapper = ["@"]
"""
