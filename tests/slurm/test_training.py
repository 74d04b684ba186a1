"""Four ranks on four nodes: whatever ends an attempt, the run ends with the very same weights."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from torch import Tensor

from tests.slurm.conftest import ROOT, Submitted, differing, relume
from tests.slurm.lab import Lab, until

Train = Callable[..., Submitted]


def assert_same_end(job: Submitted, undisturbed: dict[str, Tensor]) -> None:
    """The weights, the epochs and the metrics of a run that nothing happened to."""
    assert differing(job.run, undisturbed) == []
    assert json.loads((job.run / "state/LAST").read_text())["epoch"] == 6
    lines = (job.run / "metrics.jsonl").read_text().splitlines()
    steps = [one["step"] for one in map(json.loads, lines) if one["kind"] == "step"]
    assert steps == list(range(1, 31))
    assert (job.run / "head/model.safetensors").exists()


def test_preempted_by_a_higher_partition(
    lab: Lab, train: Train, undisturbed: dict[str, Tensor]
) -> None:
    job = train("preempted")
    job.wait_for(3)
    lab.run("sbatch", "-p", "high", "-N4", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")
    job.wait_for_end()
    assert job.ends() == ["preempted", "finished"]
    assert_same_end(job, undisturbed)


@pytest.mark.faults
def test_out_of_time(lab: Lab, train: Train, undisturbed: dict[str, Tensor]) -> None:
    job = train("out-of-time")
    job.wait_for(3)
    # Slurm looks every 30 s; meanwhile one rank stands still, or the run would be over before.
    signal_rank(lab, "node3", "STOP")
    lab.run("scontrol", "update", f"jobid={job.job}", "endtime=now+80")
    time.sleep(35)
    signal_rank(lab, "node3", "CONT")
    job.wait_for_end()
    assert job.ends() == ["time limit", "finished"]
    assert_same_end(job, undisturbed)


def test_a_killed_rank_ends_the_others_and_is_tried_again(
    lab: Lab, train: Train, undisturbed: dict[str, Tensor]
) -> None:
    job = train("killed-rank")
    job.wait_for(3)
    signal_rank(lab, "node3", "KILL")
    job.wait_for_end()
    assert job.ends() == ["failed", "finished"]
    assert job.attempts()[0]["why"] == "a process was ended by signal 9, perhaps out of memory"
    assert_same_end(job, undisturbed)


@pytest.mark.faults
def test_a_node_that_fails(lab: Lab, train: Train, undisturbed: dict[str, Tensor]) -> None:
    job = train("killed-node")
    job.wait_for(3)
    lab.power_off("node3")
    until(lambda: lab.show(job.job)["JobState"] != "RUNNING", "the controller notices", 90)
    lab.bring_back("node3")
    job.wait_for_end()
    assert job.ends() == ["lost", "finished"]
    assert_same_end(job, undisturbed)


@pytest.mark.faults
def test_requeued_by_hand(lab: Lab, train: Train, undisturbed: dict[str, Tensor]) -> None:
    job = train("requeued")
    job.wait_for(3)
    lab.run("scontrol", "requeue", job.job)
    job.wait_for_end()
    assert job.ends() == ["requeued", "finished"]
    assert_same_end(job, undisturbed)
    # Once it is finished, nothing is trained again.
    lab.run("scontrol", "requeue", job.job)
    until(lambda: "nothing is trained again" in job.log(), "the batch script looks")
    job.wait_for_end()
    assert len(job.attempts()) == 2
    said = lab.run(*relume("train", *job.words), cwd=ROOT)
    assert "is finished already" in said


@pytest.mark.faults
def test_cancelled_it_stays_so_until_the_same_command(
    lab: Lab, train: Train, undisturbed: dict[str, Tensor]
) -> None:
    job = train("cancelled")
    job.wait_for(3)
    lab.run("scancel", job.job)
    job.wait_for_end()
    assert lab.show(job.job)["JobState"] == "CANCELLED"
    assert job.ends() == ["cancelled"]
    listed = lab.run(*relume("jobs", job.run), check=False, cwd=ROOT)
    assert "the same command submits them again" in listed
    again = job.again()
    again.wait_for_end()
    assert again.ends() == ["cancelled", "finished"]
    assert_same_end(again, undisturbed)


@pytest.mark.faults
def test_the_controller_restarts(lab: Lab, train: Train, undisturbed: dict[str, Tensor]) -> None:
    job = train("restarted-controller")
    job.wait_for(3)
    lab.restart_controller()
    job.wait_for_end()
    assert job.ends() == ["finished"]
    assert_same_end(job, undisturbed)


def signal_rank(lab: Lab, node: str, name: str) -> None:
    """Send a signal to the process that trains on a node."""
    lab.on(
        node,
        "sh",
        "-c",
        f"kill -{name} $(ps -eo pid,args | awk '/[s]ubmitit.core._submit/ {{print $1}}')",
    )
