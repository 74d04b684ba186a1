"""Four ranks on four nodes: whatever ends an attempt, the run ends with the very same weights.

Each run is held before its eighth step, in its second epoch, while it happens; the last saved state
is that of the sixth.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from torch import Tensor

from tests.slurm.conftest import ROOT, Submitted, relume
from tests.slurm.lab import Lab, until
from tests.training_runs import differing

STEPS, EPOCHS, HELD, SAVED = 20, 4, 7, 6


@pytest.fixture
def held(train: Callable[..., Submitted]) -> Callable[[str], Submitted]:
    """Submits a run and returns when all its ranks wait before the same step."""

    def make(name: str) -> Submitted:
        job = train(name, hold=HELD)
        job.wait_at_brake()
        return job

    return make


def goes_on(job: Submitted, how: str, undisturbed: dict[str, Tensor], saved: int = HELD) -> None:
    """After one attempt that ended so, the next one brings the run to its undisturbed end."""
    job.wait_at_brake(restarts=1)
    job.let_go()
    job.wait_for_end()
    assert job.ends() == [how, "finished"]
    assert [one["saved_step"] for one in job.attempts()] == [saved, STEPS]
    assert_same_end(job, undisturbed)


def assert_same_end(job: Submitted, undisturbed: dict[str, Tensor]) -> None:
    """The weights, the epochs and the metrics of a run that nothing happened to."""
    assert differing(job.run, undisturbed) == []
    assert json.loads((job.run / "state/LAST").read_text())["epoch"] == EPOCHS
    lines = (job.run / "metrics.jsonl").read_text().splitlines()
    steps = [one["step"] for one in map(json.loads, lines) if one["kind"] == "step"]
    assert steps == list(range(1, STEPS + 1))
    assert (job.run / "head/model.safetensors").exists()


def test_preempted_by_a_higher_partition(
    lab: Lab, held: Callable[[str], Submitted], undisturbed: dict[str, Tensor]
) -> None:
    job = held("preempted")
    lab.preempt()
    goes_on(job, "preempted", undisturbed)


def test_preempted_where_that_cancels(
    lab: Lab, held: Callable[[str], Submitted], undisturbed: dict[str, Tensor]
) -> None:
    """PreemptMode=CANCEL without a grace time, as some sites have it."""
    low = ("scontrol", "update", "partitionname=low")
    lab.run(*low, "preemptmode=cancel", "gracetime=0")
    try:
        job = held("preempted-by-cancel")
        lab.preempt()
        goes_on(job, "preempted", undisturbed)
    finally:
        lab.run(*low, "preemptmode=requeue", "gracetime=600")


def test_out_of_time(
    lab: Lab, held: Callable[[str], Submitted], undisturbed: dict[str, Tensor]
) -> None:
    job = held("out-of-time")
    # Told 20 minutes before the end, so within Slurm's next look at its clock, every 30 s.
    lab.run("scontrol", "update", f"jobid={job.job}", "endtime=now+20minutes")
    until(lambda: job.ends()[0] != "lost", "the first attempt ends")
    lab.run("scontrol", "update", f"jobid={job.job}", "timelimit=60")
    job.let_go()
    job.wait_for_end()
    assert job.ends() == ["time limit", "finished"]
    assert_same_end(job, undisturbed)


def test_a_killed_rank_ends_the_others_and_is_tried_again(
    held: Callable[[str], Submitted], undisturbed: dict[str, Tensor]
) -> None:
    job = held("killed-rank")
    job.signal(2, "KILL")
    goes_on(job, "failed", undisturbed, saved=SAVED)
    why = "a process was ended by signal 9, perhaps out of memory (slurm.memory_gb)"
    assert job.attempts()[0]["why"] == why


def test_a_node_that_fails(
    lab: Lab, held: Callable[[str], Submitted], undisturbed: dict[str, Tensor]
) -> None:
    job = held("killed-node")
    lab.power_off("node3")
    lab.bring_back("node3")
    goes_on(job, "lost", undisturbed, saved=SAVED)


def test_requeued_by_hand(
    lab: Lab, held: Callable[[str], Submitted], undisturbed: dict[str, Tensor]
) -> None:
    job = held("requeued")
    lab.run("scontrol", "requeue", job.job)
    goes_on(job, "requeued", undisturbed)
    # Once it is finished, nothing is trained again.
    lab.run("scontrol", "requeue", job.job)
    until(lambda: "nothing is trained again" in job.log(), "the batch script looks")
    job.wait_for_end()
    assert len(job.attempts()) == 2
    said = lab.run(*relume("train", *job.words), cwd=ROOT)
    assert "is finished already" in said


def test_cancelled_it_stays_so_until_the_same_command(
    lab: Lab, held: Callable[[str], Submitted], undisturbed: dict[str, Tensor]
) -> None:
    job = held("cancelled")
    lab.run("scancel", job.job)
    job.wait_for_end()
    assert lab.show(job.job)["JobState"] == "CANCELLED"
    assert job.ends() == ["cancelled"]
    listed = lab.run(*relume("jobs", job.run), check=False, cwd=ROOT)
    assert "the same command submits them again" in listed
    job.let_go()
    again = job.again()
    again.wait_for_end()
    assert again.ends() == ["cancelled", "finished"]
    assert_same_end(again, undisturbed)


def test_the_controller_restarts(
    lab: Lab, held: Callable[[str], Submitted], undisturbed: dict[str, Tensor]
) -> None:
    job = held("restarted-controller")
    lab.restart_controller()
    job.let_go()
    job.wait_for_end()
    assert job.ends() == ["finished"]
    assert_same_end(job, undisturbed)
