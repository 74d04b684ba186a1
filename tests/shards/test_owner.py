"""One owner at a time, who is told by name; the dead lose their part, the sleeping notice."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from schemas.part import WHOLE, Part
from shards import owner as owner_module
from shards.owner import Owner, OwnerLost, writers

HALF, OTHER_HALF, THIRD = Part(1, 2), Part(2, 2), Part(1, 3)


def _hold(dataset: Path, part: Part, pipe: Connection) -> None:
    with Owner(dataset, part):
        pipe.send("mine")
        pipe.recv()


class _OtherDriver:
    """A driver in another process, until it is told to leave or killed."""

    def __init__(self, dataset: Path, part: Part = WHOLE) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_hold, args=(dataset, part, theirs))
        self.process.start()
        assert self._pipe.recv() == "mine"

    def leave(self) -> None:
        self._pipe.send("go")
        self.process.join()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def test_a_second_owner_is_told_who_holds_it(tmp_path: Path) -> None:
    other = _OtherDriver(tmp_path)
    try:
        with pytest.raises(ValueError, match=f"written by process {other.process.pid} on "):
            Owner(tmp_path)
        assert writers(tmp_path)[0].startswith(f"process {other.process.pid} on ")
    finally:
        other.leave()
    assert writers(tmp_path) == []
    with Owner(tmp_path) as mine:
        assert mine.took_over == []


def test_an_owner_that_was_killed_is_taken_over_at_once(tmp_path: Path) -> None:
    other = _OtherDriver(tmp_path)
    other.kill()
    with Owner(tmp_path) as mine:
        assert [holder.pid for holder in mine.took_over] == [other.process.pid]
        mine.check()


def test_parts_are_apart_and_overlap_with_the_whole(tmp_path: Path) -> None:
    other = _OtherDriver(tmp_path, HALF)
    try:
        with Owner(tmp_path, OTHER_HALF) as mine:
            mine.check()
            assert len(writers(tmp_path)) == 2
        for part in (HALF, THIRD, WHOLE):
            with pytest.raises(ValueError, match="part 1/2 is being written"):
                Owner(tmp_path, part)
    finally:
        other.leave()


def test_a_dead_part_is_buried_by_the_whole(tmp_path: Path) -> None:
    other = _OtherDriver(tmp_path, HALF)
    other.kill()
    with Owner(tmp_path) as mine:
        assert [holder.pid for holder in mine.took_over] == [other.process.pid]
    with Owner(tmp_path, HALF) as mine:
        assert mine.took_over == []


def _foreign(path: Path, **changes: object) -> None:
    """Let a claim look like one from another host."""
    text = json.loads(path.read_bytes()) | {"machine": "elsewhere", "host": "node17"} | changes
    path.write_text(json.dumps(text))


def test_a_silent_owner_elsewhere_is_taken_over_only_after_a_while(tmp_path: Path) -> None:
    sleeper = Owner(tmp_path)
    claim = next(iter((tmp_path / "owners").iterdir()))
    _foreign(claim)
    with pytest.raises(ValueError, match=r"on node17; its last sign of life is \d+ s old"):
        Owner(tmp_path)
    long_ago = time.time() - 1000
    os.utime(claim, (long_ago, long_ago))
    with Owner(tmp_path) as mine:
        assert [holder.host for holder in mine.took_over] == ["node17"]
        # It was only asleep, and notices before it publishes anything.
        with pytest.raises(OwnerLost, match="was taken over by another driver"):
            sleeper.check()
        sleeper.release()
        mine.check()


def test_the_heartbeat_is_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_module, "HEARTBEAT_S", 0.01)
    with Owner(tmp_path):
        claim = next(iter((tmp_path / "owners").iterdir()))
        os.utime(claim, (1, 1))
        deadline = time.monotonic() + 10
        while claim.stat().st_mtime == 1:
            assert time.monotonic() < deadline, "no heartbeat"
            os.sched_yield()


def test_a_requeued_job_takes_over_from_its_former_self(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    Owner(tmp_path)
    claim = next(iter((tmp_path / "owners").iterdir()))
    _foreign(claim)
    with pytest.raises(ValueError, match="Slurm job 4711"):
        Owner(tmp_path)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with Owner(tmp_path) as mine:
        assert [holder.job for holder in mine.took_over] == ["4711"]


def test_a_reused_process_id_is_not_the_owner(tmp_path: Path) -> None:
    Owner(tmp_path)
    claim = next(iter((tmp_path / "owners").iterdir()))
    text = json.loads(claim.read_bytes())
    claim.write_text(json.dumps(text | {"started": "1"}))
    with Owner(tmp_path) as mine:
        assert len(mine.took_over) == 1


def _race(dataset: Path, results: Connection) -> None:
    try:
        with Owner(dataset) as mine:
            results.send("won")
            results.recv()
            mine.check()
    except ValueError:
        results.send("lost")


def test_of_many_that_start_at_once_one_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    pipes, processes = [], []
    for _ in range(8):
        mine, theirs = context.Pipe()
        process = context.Process(target=_race, args=(tmp_path, theirs))
        process.start()
        pipes.append(mine)
        processes.append(process)
    outcomes = [pipe.recv() for pipe in pipes]
    for pipe, outcome in zip(pipes, outcomes, strict=True):
        if outcome == "won":
            pipe.send("leave")
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted(outcomes) == ["lost"] * 7 + ["won"]


def test_a_stopped_driver_cannot_publish_after_it_was_taken_over(tmp_path: Path) -> None:
    """A real SIGSTOP: the driver sleeps, is taken over, wakes, and finds out."""
    program = (
        "import sys; from pathlib import Path; from shards.owner import Owner, OwnerLost\n"
        "owner = Owner(Path(sys.argv[1])); print('mine', flush=True); input()\n"
        "try: owner.check()\n"
        "except OwnerLost: print('lost', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as sleeper:
        assert sleeper.stdout is not None
        assert sleeper.stdout.readline() == "mine\n"
        sleeper.send_signal(signal.SIGSTOP)
        claim = next(iter((tmp_path / "owners").iterdir()))
        _foreign(claim)
        os.utime(claim, (1, 1))
        with Owner(tmp_path):
            sleeper.send_signal(signal.SIGCONT)
            assert sleeper.communicate("\n")[0] == "lost\n"
