"""When a job is tried again, and what the words of Slurm and of ranks are taken for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.endings import LostContact
from schemas.slurm import SlurmSettings
from slurm import batch, requeue
from slurm.attempts import Attempt, Attempts, How, told, why_not_again
from slurm.requeue import Incarnation, place_of, stopped_by, told_place
from slurm.site import Job, fields_of, minutes_of
from slurm.status import error_of

LIMITS = SlurmSettings(max_failures=3, max_attempts=6)


def attempts(*ends: tuple[How, int]) -> list[Attempt]:
    """Attempts by how they ended and how many steps each saved."""
    found: list[Attempt] = []
    steps = 0
    for number, (how, new) in enumerate(ends):
        found.append(
            Attempt(
                job="7",
                restarts=number,
                begun=f"2026-11-21T10:0{number}:00.000+00:00",
                nodes="node1",
                from_step=steps,
                saved_step=steps + new,
                ended=how,
                why="",
            )
        )
        steps += new
    return found


@pytest.mark.parametrize(
    ("ends", "told_why"),
    [
        ([], None),
        ([("failed", 0), ("failed", 0)], None),
        ([("failed", 0)] * 3, "3 attempts in a row saved nothing new"),
        ([("lost", 0), ("time limit", 0), ("failed", 0)], "3 attempts in a row"),
        ([("failed", 0), ("failed", 5), ("failed", 0), ("failed", 0)], None),
        # Whoever is sent away cannot help it.
        ([("preempted", 0)] * 5, None),
        ([("failed", 0), ("preempted", 0), ("failed", 0), ("failed", 0)], "3 attempts in a row"),
        ([("preempted", 4)] * 6, "max_attempts = 6"),
        # Somebody requeued it after it was given up, so something has changed.
        ([("failed", 0), ("failed", 0), ("given up", 0), ("failed", 0)], None),
    ],
)
def test_only_while_progress_is_made(ends: Sequence[tuple[How, int]], told_why: str | None) -> None:
    why = why_not_again(attempts(*ends), LIMITS)
    if told_why is None:
        assert why is None
    else:
        assert why is not None
        assert told_why in why


def test_an_attempt_is_written_and_read(tmp_path: Path) -> None:
    folder = Attempts(tmp_path)
    assert folder.all() == []
    first = folder.begin("7", 0, "node1", "2026-11-21T10:00:00.000+00:00")
    folder.end(first, "preempted")
    second = folder.begin("7", 1, "node2", "2026-11-21T10:01:00.000+00:00")
    assert [one.ended for one in folder.of("7")] == ["preempted", "lost"]
    assert folder.of("8") == []
    assert folder.find("7", 1) == second
    assert "a node failed" in told(second)
    (tmp_path / "slurm/attempts/7.1.json").write_text("{")
    with pytest.raises(ValueError, match=r"7\.1\.json: is damaged"):
        folder.all()


@pytest.mark.parametrize(
    ("state", "preempted", "restarts", "how"),
    [
        ("RUNNING", True, 0, "preempted"),
        ("SIGNALING", True, 0, "preempted"),
        ("RUNNING", False, 0, "time limit"),
        ("COMPLETING", False, 1, "requeued"),
        ("PENDING", False, 1, "requeued"),
        ("COMPLETING", False, 0, "cancelled"),
        ("CANCELLED", False, 0, "cancelled"),
    ],
)
def test_what_made_a_job_stop(state: str, preempted: bool, restarts: int, how: How) -> None:
    job = Job("7", state, restarts, preempted, "None", "0:0", "node1")
    assert stopped_by(job, 0) == how
    cut_off = replace(job, cut_off=True)
    assert stopped_by(cut_off, 0) == ("preempted" if how == "cancelled" else how)
    assert stopped_by(None, 0) == "cancelled"


SLURM = {
    "SLURM_JOB_ID": "13",
    "SLURM_ARRAY_JOB_ID": "12",
    "SLURM_ARRAY_TASK_ID": "1",
    "SLURM_RESTART_COUNT": "2",
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS_PER_NODE": "4",
    "CUDA_VISIBLE_DEVICES": "0,2,3",
}


def test_where_a_rank_is(tmp_path: Path) -> None:
    here = Incarnation.here(SLURM)
    assert (here.job, here.index, here.restarts) == ("12_1", 1, 2)
    place = place_of(SLURM, tmp_path, here)
    assert (place.rank, place.count, place.local_rank, place.local_count) == (5, 8, 1, 4)
    assert place.meeting == tmp_path / "slurm/meetings/12_1.2"
    assert told_place(place, SLURM).endswith("GPU 2 of 0,2,3")
    assert "GPU" not in told_place(place, {})


def test_a_finished_run_is_not_begun_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Incarnation.here(SLURM)
    assert batch.begin(tmp_path, LIMITS, here) == batch.GO_ON
    folder = Attempts(tmp_path)
    folder.end(folder.find("12_1", 2), "finished")
    assert batch.begin(tmp_path, LIMITS, here) == batch.NOTHING_LEFT
    assert batch.end(tmp_path, LIMITS, here, 0) == 0
    assert "nothing is trained again" in capsys.readouterr().out


def test_nodes_that_fail_again_and_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Slurm itself requeues those, so the batch script has to look before it begins."""
    for restarts in range(3):
        here = Incarnation.here(SLURM | {"SLURM_RESTART_COUNT": str(restarts)})
        assert batch.begin(tmp_path, LIMITS, here) == batch.GO_ON
    here = Incarnation.here(SLURM | {"SLURM_RESTART_COUNT": "3"})
    assert batch.begin(tmp_path, LIMITS, here) == batch.GIVEN_UP
    assert "given up: 3 attempts in a row" in capsys.readouterr().err


def test_the_clearest_last_word_counts(tmp_path: Path) -> None:
    here = Incarnation.here(SLURM)
    assert batch.last_words(tmp_path, here, 137)[0].startswith("a process was ended by signal 9")
    assert "with code 7 before they worked" in batch.last_words(tmp_path, here, 7)[0]
    for rank, error in (("3", RuntimeError("lost contact")), ("5", ValueError("x: is wrong"))):
        place = place_of(SLURM | {"SLURM_PROCID": rank}, tmp_path, here)
        requeue.tell_error(tmp_path, here, place, error)
    why, wrong_input = batch.last_words(tmp_path, here, 1)
    assert why == f"rank 5 on {place.host}: x: is wrong"
    assert wrong_input
    names = {path.name for path in (tmp_path / "slurm/errors").iterdir()}
    assert names == {"12_1.2-rank-0003.json", "12_1.2-rank-0005.json"}


def test_an_error_is_told_rather_than_the_signal_that_ended_the_others(tmp_path: Path) -> None:
    here = Incarnation.here(SLURM)
    for rank, error in (("0", LostContact("process 1 is gone")), ("1", RuntimeError("CUDA error"))):
        place = place_of(SLURM | {"SLURM_PROCID": rank}, tmp_path, here)
        requeue.tell_error(tmp_path, here, place, error)
        why, wrong_input = batch.last_words(tmp_path, here, 137)
        assert not wrong_input
        if rank == "0":
            assert why.startswith("a process was ended by signal 9")
    assert why == f"rank 1 on {place.host}: RuntimeError: CUDA error"


def test_the_batch_script_finds_its_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in SLURM.items():
        monkeypatch.setenv(key, value)
    runs, limits = tmp_path / "x.runs", tmp_path / "x.json"
    runs.write_text(f"{tmp_path}/a\n{tmp_path}/b\n")
    limits.write_text(json.dumps({"max_failures": 1}))
    assert batch.main(["begin", str(runs), str(limits)]) == 0
    assert Attempts(tmp_path / "b").all()[0].job == "12_1"
    assert Attempts(tmp_path / "a").all() == []


def test_words_of_scontrol() -> None:
    line = "JobId=7 JobName=relume x Comment=relume train /a b JobState=RUNNING ExitCode=0:0"
    assert fields_of(line) == {
        "JobId": "7",
        "JobName": "relume x",
        "Comment": "relume train /a b",
        "JobState": "RUNNING",
        "ExitCode": "0:0",
    }
    assert minutes_of("UNLIMITED") is None
    assert minutes_of("12:00:00") == 720
    assert minutes_of("2-00:30:00") == 2 * 24 * 60 + 30


def job(state: str, **also: str) -> Job:
    """What the controller knows of job 7."""
    told_of = {"reason": "", "exit_code": "0:0", "nodes": "node1", **also}
    return Job(id="7", state=state, restarts=1, preempted=False, **told_of)


@pytest.mark.parametrize(
    ("state", "ends", "error"),
    [
        # The last attempt is running: it has not said how it ended.
        ("RUNNING", [("failed", 3), ("lost", 0)], "failed"),
        ("RUNNING", [("failed", 3), ("lost", 2)], ""),
        ("PENDING", [("failed", 0), ("preempted", 2)], ""),
        ("PENDING", [("preempted", 2), ("lost", 0)], "lost without a word"),
        ("COMPLETED", [("lost", 0), ("finished", 9)], ""),
        ("FAILED", [("preempted", 2), ("given up", 0)], "given up"),
        ("NODE_FAIL", [("preempted", 2)], "NODE_FAIL, 0:0"),
    ],
)
def test_an_error_is_told_until_it_is_overcome(
    tmp_path: Path, state: str, ends: Sequence[tuple[How, int]], error: str
) -> None:
    found = error_of(tmp_path, job(state), attempts(*ends))
    assert found.startswith(error)
    assert bool(found) == bool(error)
