"""The paper's shape: 16 ranks on 4 nodes x 4 GPUs; and the same without submitit, by torchrun."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from tests.slurm.conftest import ROOT, Submitted, train_undisturbed
from tests.slurm.lab import Lab
from tests.training_runs import differing, state_of

PHASE = ("--phase", "{epochs = 2, batch_size = 1, crop_px = 32}")


def test_sixteen_ranks_survive_a_preemption(
    lab: Lab, train: Callable[..., Submitted], preset: Path, pairs: Path, shared: Path
) -> None:
    job = train("sixteen", *PHASE, "--slurm.gpus-per-node", "4", hold=1)
    job.wait_at_brake(ranks=16)
    lab.preempt()
    job.wait_at_brake(ranks=16, restarts=1)
    job.let_go()
    job.wait_for_end()
    assert job.ends() == ["preempted", "finished"]
    assert json.loads((job.run / "state/LAST").read_text())["processes"] == 16
    train_undisturbed(16, preset, pairs, shared / "sixteen-here", *PHASE)
    assert differing(job.run, state_of(shared / "sixteen-here")) == []
    logs = sorted((job.run / "slurm/jobs").glob(f"{job.job}_*_log.out"))
    assert len(logs) == 16
    told = {
        found[0]
        for log in logs
        for found in [re.findall(r"rank \d+ of 16 on (node\d, GPU \d) of 0,1,2,3", log.read_text())]
    }
    assert told == {f"node{node}, GPU {gpu}" for node in range(1, 5) for gpu in range(4)}


def test_torchrun_without_submitit(
    lab: Lab,
    shared: Path,
    preset: Path,
    pairs: Path,
    undisturbed: dict[str, Tensor],
    braked: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    run, log = shared / "torchrun", shared / "torchrun.log"
    options = ["-N2", "--gpus-per-node=2", "--cpus-per-task=2", "--time=60", f"--output={log}"]
    words = ["--parsable", *options, "slurm/train.sbatch", preset, pairs, run]
    # What torchrun starts its processes by.
    env = ["env", f"PYTHON_EXEC={braked(7)}"]
    number = lab.run(*env, "sbatch", *words, cwd=ROOT, stderr=None).strip()
    job = Submitted(lab, run, number, [], tmp_path / "brake")
    job.wait_at_brake()
    lab.preempt()
    job.wait_at_brake(restarts=1)
    job.let_go()
    job.wait_for_end()
    assert lab.show(job.job)["JobState"] == "COMPLETED", log.read_text()
    assert lab.show(job.job)["Restarts"] == "1"
    assert differing(run, undisturbed) == []
