"""The paper's shape: 16 ranks on 4 nodes x 4 GPUs; and the same without submitit, by torchrun."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from tests.slurm.conftest import ROOT, Submitted, differing
from tests.slurm.lab import Lab, until


@pytest.mark.faults
def test_sixteen_ranks_survive_a_preemption(lab: Lab, train: Callable[..., Submitted]) -> None:
    phase = "{epochs = 2, batch_size = 1, crop_px = 60}"
    job = train("sixteen", "--phase", phase, "--slurm.gpus-per-node", "4")
    job.wait_for(1)
    lab.run("sbatch", "-p", "high", "-N4", "--exclusive", "-o", "/dev/null", "--wrap", "true")
    job.wait_for_end()
    assert job.ends()[-1] == "finished"
    assert job.ends()[0] == "preempted"
    assert json.loads((job.run / "state/LAST").read_text())["processes"] == 16
    logs = sorted((job.run / "slurm/jobs").glob(f"{job.job}_*_log.out"))
    assert len(logs) == 16
    told = {
        found[0]
        for log in logs
        for found in [re.findall(r"rank \d+ of 16 on (node\d, GPU \d) of 0,1,2,3", log.read_text())]
    }
    assert told == {f"node{node}, GPU {gpu}" for node in range(1, 5) for gpu in range(4)}


@pytest.mark.faults
def test_torchrun_without_submitit(
    lab: Lab, shared: Path, preset: Path, pairs: Path, undisturbed: dict[str, Tensor]
) -> None:
    run, log = shared / "torchrun", shared / "torchrun.log"
    options = ["-N2", "--gpus-per-node=2", "--cpus-per-task=2", "--time=10", f"--output={log}"]
    words = ["--parsable", *options, "slurm/train.sbatch", preset, pairs, run]
    job = Submitted(lab, run, lab.run("sbatch", *words, cwd=ROOT, stderr=None).strip(), [])
    job.wait_for(3)
    lab.run("sbatch", "-p", "high", "-N4", "--exclusive", "-o", "/dev/null", "--wrap", "true")
    until(lambda: lab.show(job.job)["Restarts"] == "1", "its requeue", 60)
    job.wait_for_end()
    assert lab.show(job.job)["JobState"] == "COMPLETED", log.read_text()
    assert differing(run, undisturbed) == []
