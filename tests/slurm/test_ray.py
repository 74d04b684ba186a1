"""The batch scripts that make datasets, run as they stand, on a real Slurm."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from slurm.site import ENDED
from tests.slurm.conftest import ROOT
from tests.slurm.lab import Lab, until
from workflows import plan

Files = Callable[..., dict[str, bytes]]
Batch = Callable[..., "Submission"]
SMALL_NODES = ["--gpus-per-node=1", "--cpus-per-task=1", "--time=60"]
HELD = 2
SHARDS = 10


@dataclass
class Submission:
    """A script that was submitted, whose drivers wait before they publish a shard."""

    lab: Lab
    job: str
    log: Path
    brake: Path

    def wait_at_brake(self, *parts: str) -> None:
        """Go on when the drivers of these parts wait."""
        names = {f"0-{part}" for part in parts}
        until(lambda: names <= {one.name for one in self.brake.iterdir()}, f"see {self.log}")

    def let_go(self) -> None:
        """Hold nobody any more."""
        (self.brake / "let-go").touch()

    def wait_for_end(self) -> None:
        """Go on when it has ended well."""
        ended = lambda: self.lab.show(self.job)["JobState"] in ENDED  # noqa: E731
        until(ended, f"the end of {self.job}: see {self.log}")
        assert self.lab.show(self.job)["JobState"] == "COMPLETED", self.log.read_text()


@pytest.fixture
def batch(
    lab: Lab, shared: Path, braked: Callable[[int], Path], tmp_path: Path
) -> Callable[..., Submission]:
    """Submits a script of slurm/ as it stands."""

    def submit(
        script: str, *words: str | Path, log: str, options: list[str], hold: int | None = None
    ) -> Submission:
        env = ["env", f"RELUME_TOKENS={shared}"]
        if hold is not None:
            env.append(f"RELUME_PYTHON={braked(hold)}")
        options = [*options, *SMALL_NODES, f"--output={shared}/{log}.log"]
        command = [*env, "sbatch", "--parsable", *options, f"slurm/{script}", *words]
        job = lab.run(*command, cwd=ROOT, stderr=None).strip()
        return Submission(lab, job, shared / f"{log}.log", tmp_path / "brake")

    return submit


def planned(preset: Path, dataset: Path) -> Path:
    assert plan.main([str(preset), "--dataset", "pairs", "--out", str(dataset)]) == 0
    return dataset


def shards_made(dataset: Path) -> int:
    return len(list(dataset.glob("*/*.done.json")))


def assert_same(dataset: Path, pairs: Path, files: Files) -> None:
    """Byte by byte what one process makes on one machine."""
    assert shards_made(dataset) == SHARDS
    assert files(dataset, "generator.json") == files(pairs, "generator.json")


def test_three_nodes_of_which_one_dies(
    lab: Lab, shared: Path, batch: Batch, preset: Path, pairs: Path, files: Files
) -> None:
    dataset = planned(preset, shared / "by-three")
    options = ["-N3", "-w", "node[1-3]"]
    job = batch("ray_generate.sbatch", dataset, log="by-three", options=options, hold=HELD)
    job.wait_at_brake("0")
    assert shards_made(dataset) == HELD
    lab.power_off("node3")
    job.let_go()
    until(lambda: "shards exist" in job.log.read_text(), f"the end: see {job.log}")
    assert_same(dataset, pairs, files)
    lab.bring_back("node3")
    job.wait_for_end()
    assert not list(shared.glob(".relume-ray-*.token"))


def test_a_node_that_does_not_come_is_named(
    lab: Lab, shared: Path, preset: Path, tmp_path: Path
) -> None:
    dataset, log, python = planned(preset, shared / "late"), shared / "late.log", tmp_path / "late"
    late = f'#!/bin/sh\n[ "$(hostname)" = node2 ] && exec sleep 600\nexec {sys.executable} "$@"\n'
    python.write_text(late)
    python.chmod(0o755)
    env = ["env", f"RELUME_TOKENS={shared}", f"RELUME_PYTHON={python}", "RELUME_PATIENCE_S=1"]
    options = ["--parsable", "-N2", "-w", "node[1-2]", *SMALL_NODES, f"--output={log}"]
    command = [*env, "sbatch", *options, "slurm/ray_generate.sbatch", dataset]
    job = lab.run(*command, cwd=ROOT, stderr=None).strip()
    until(lambda: lab.show(job)["JobState"] in ENDED, f"the end of {job}: see {log}")
    assert lab.show(job)["JobState"] == "FAILED"
    assert "error: after 1 s Ray is not up on node2; see above" in log.read_text()
    assert not list(shared.glob(".relume-ray-*.token"))
    assert shards_made(dataset) == 0


def test_ray_preempted(
    lab: Lab, shared: Path, batch: Batch, preset: Path, pairs: Path, files: Files
) -> None:
    dataset = planned(preset, shared / "preempted-ray")
    options = ["-N2", "-w", "node[1-2]"]
    job = batch("ray_generate.sbatch", dataset, log="preempted-ray", options=options, hold=HELD)
    job.wait_at_brake("0")
    lab.preempt("-w", "node[1-2]")
    until(lambda: lab.show(job.job)["Restarts"] == "1", f"its requeue: see {job.log}")
    assert shards_made(dataset) == HELD
    job.let_go()
    job.wait_for_end()
    assert_same(dataset, pairs, files)
    assert not list(shared.glob(".relume-ray-*.token"))


def test_an_array_of_parts_of_which_one_is_preempted(
    lab: Lab, shared: Path, batch: Batch, preset: Path, pairs: Path, files: Files
) -> None:
    dataset = planned(preset, shared / "by-parts")
    options = ["--array=1-2", "--exclusive"]
    job = batch("generate_array.sbatch", dataset, log="part-%a", options=options, hold=1)
    job.wait_at_brake("1", "2")
    # The last job of an array has the array's own number.
    first, last = f"{job.job}_1", f"{job.job}_2"
    assert lab.show(last)["JobId"] == job.job
    lab.preempt("-w", lab.show(last)["NodeList"])
    until(lambda: lab.show(last)["Restarts"] == "1", "the requeue of the second part")
    assert shards_made(dataset) == 2
    job.let_go()
    until(lambda: not lab.run("squeue", "-h").strip(), "the array's end")
    assert lab.show(first)["Restarts"] == "0"
    assert_same(dataset, pairs, files)


def test_a_script_without_its_words(lab: Lab, batch: Batch, preset: Path, pairs: Path) -> None:
    for script, words in (("generate_array", [pairs]), ("ray_generate", []), ("train", [preset])):
        job = batch(f"{script}.sbatch", *words, log=f"{script}-alone", options=["-N1"])
        until(lambda job=job: lab.show(job.job)["JobState"] == "FAILED", f"the end of {job.job}")
        (said,) = job.log.read_text().splitlines()
        assert ": is missing: s" in said


def test_a_standing_cluster_and_another_job_on_the_same_nodes(
    lab: Lab, shared: Path, batch: Batch, preset: Path
) -> None:
    other = planned(preset, shared / "beside")
    options = ["-N2", "-w", "node[1-2]"]
    standing = batch("ray_cluster.sbatch", log="standing", options=options)
    beside = batch("ray_generate.sbatch", other, log="beside", options=options)
    log = standing.log
    until(lambda: log.exists() and "From the login node" in log.read_text(), f"see {log}")
    submitted = planned(preset, shared / "submitted")
    how = [line.strip() for line in log.read_text().splitlines()]
    exports = next(line for line in how if line.startswith("export RAY_AUTH_MODE"))
    address = next(line.split()[4] for line in how if line.startswith("ray job submit"))
    ray = f"{sys.executable} -m ray.scripts.scripts job submit --address {address}"
    job = f"{ray} --working-dir . -- {sys.executable} -m workflows.generate {submitted}"
    said = lab.run("sh", "-c", f"{exports}; {job}", cwd=ROOT, check=False)
    assert "shards exist" in said, said
    assert shards_made(submitted) == SHARDS
    # Without the token nobody may.
    refused = lab.run("sh", "-c", f"export RAY_AUTH_MODE=token; {job}", cwd=ROOT, check=False)
    assert "shards exist" not in refused
    beside.wait_for_end()
    assert shards_made(other) == SHARDS


def test_scripts_are_sound() -> None:
    for script in sorted((ROOT / "slurm").glob("*.s*")):
        if script.suffix in (".sh", ".sbatch"):
            subprocess.run(["bash", "-n", script], check=True)
