"""The batch scripts that make datasets, run as they stand, on a real Slurm."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.slurm.conftest import PRESET, ROOT
from tests.slurm.lab import Lab, until
from workflows import generate, plan

Files = Callable[..., dict[str, bytes]]
LARGE = PRESET.replace("count = 64", "count = 240").replace("size_px = 64", "size_px = 256")
SMALL_NODES = ["--gpus-per-node=1", "--cpus-per-task=1", "--time=10"]


@pytest.fixture(scope="module")
def preset_of_large(shared: Path) -> Path:
    path = shared / "large.toml"
    path.write_text(LARGE)
    return path


@pytest.fixture(scope="module")
def by_one_process(shared: Path, preset_of_large: Path) -> Path:
    """The dataset as one process makes it."""
    dataset = shared / "by-one"
    planned(preset_of_large, dataset)
    assert generate.main(["--here", str(dataset)]) == 0
    return dataset


@pytest.fixture
def batch(lab: Lab, shared: Path) -> Iterator[Callable[..., str]]:
    """Submits a script of slurm/; whatever is left is cancelled."""

    def submit(script: str, *words: str | Path, options: list[str]) -> str:
        env = ["env", "RELUME_LOCAL=/tmp/local", f"RELUME_TOKENS={shared}"]
        command = [*env, "sbatch", "--parsable", *options, f"slurm/{script}", *words]
        return lab.run(*command, cwd=ROOT, stderr=None).strip()

    yield submit
    lab.run("scancel", "--user=root", check=False)
    until(lambda: not lab.run("squeue", "-h").strip(), "an empty queue", 90)


def planned(preset: Path, dataset: Path) -> Path:
    assert plan.main([str(preset), "--dataset", "pairs", "--out", str(dataset)]) == 0
    return dataset


def shards_made(dataset: Path) -> int:
    return len(list(dataset.glob("*/*.done.json")))


def log_of(shared: Path, name: str) -> str:
    return (shared / f"{name}.log").read_text()


def test_three_nodes_of_which_one_dies(
    lab: Lab,
    shared: Path,
    batch: Callable[..., str],
    preset_of_large: Path,
    by_one_process: Path,
    files: Files,
) -> None:
    dataset = planned(preset_of_large, shared / "by-three")
    log = shared / "by-three.log"
    options = ["-N3", "-w", "node[1-3]", f"--output={log}", *SMALL_NODES]
    job = batch("ray_generate.sbatch", dataset, options=options)
    until(lambda: shards_made(dataset) >= 2, f"two shards: see {log}", 180)
    lab.power_off("node3")
    until(lambda: "shards exist" in log.read_text(), f"the end: see {log}", 180)
    assert shards_made(dataset) == shards_made(by_one_process)
    assert files(dataset, "generator.json") == files(by_one_process, "generator.json")
    until(lambda: lab.show(job)["JobState"] not in ("RUNNING", "COMPLETING"), "the job's end", 90)
    lab.bring_back("node3")
    assert not list(shared.glob(".relume-ray-*.token"))


def test_an_array_of_parts_of_which_one_is_preempted(
    lab: Lab,
    shared: Path,
    batch: Callable[..., str],
    preset_of_large: Path,
    by_one_process: Path,
    files: Files,
) -> None:
    dataset = planned(preset_of_large, shared / "by-parts")
    options = ["--array=1-2", f"--output={shared}/part-%a.log", "-w", "node4", *SMALL_NODES]
    batch("generate_array.sbatch", dataset, options=options)
    until(lambda: shards_made(dataset) >= 2, "two shards", 120)
    lab.run(
        "sbatch", "-p", "high", "-w", "node4", "--exclusive", "-o", "/dev/null", "--wrap", "true"
    )
    until(lambda: not lab.run("squeue", "-h").strip(), "the array's end", 180)
    assert shards_made(dataset) == shards_made(by_one_process)
    assert files(dataset, "generator.json") == files(by_one_process, "generator.json")


def test_a_standing_cluster_and_another_job_on_the_same_nodes(
    lab: Lab, shared: Path, batch: Callable[..., str], preset_of_large: Path, preset: Path
) -> None:
    log, other = shared / "standing.log", planned(preset, shared / "beside")
    options = ["-N2", "-w", "node[1-2]", *SMALL_NODES]
    standing = batch("ray_cluster.sbatch", options=[*options, f"--output={log}"])
    batch("ray_generate.sbatch", other, options=[*options, f"--output={shared}/beside.log"])
    until(lambda: log.exists() and "From the login node" in log.read_text(), f"see {log}", 180)
    submitted = planned(preset, shared / "submitted")
    how = [line.strip() for line in log.read_text().splitlines()]
    exports = next(line for line in how if line.startswith("export RAY_AUTH_MODE"))
    address = next(line.split()[4] for line in how if line.startswith("ray job submit"))
    ray = f"{sys.executable} -m ray.scripts.scripts job submit --address {address}"
    job = f"{ray} --working-dir . -- {sys.executable} -m workflows.generate {submitted}"
    said = lab.run("sh", "-c", f"{exports}; {job}", cwd=ROOT, check=False)
    assert "shards exist" in said, said
    assert shards_made(submitted) == 10
    # Without the token nobody may.
    refused = lab.run("sh", "-c", f"export RAY_AUTH_MODE=token; {job}", cwd=ROOT, check=False)
    assert "shards exist" not in refused
    until(lambda: shards_made(other) == 10, f"the other job: see {shared}/beside.log", 180)
    lab.run("scancel", standing)


def test_scripts_are_sound() -> None:
    for script in sorted((ROOT / "slurm").glob("*.s*")):
        if script.suffix in (".sh", ".sbatch"):
            subprocess.run(["bash", "-n", script], check=True)
