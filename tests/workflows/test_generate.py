"""`relume generate` as an operator uses it: to the end, in parts, after failures, elsewhere."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.lease import Lease, StagedShard, Turn
from shards.events import read as read_events
from shards.owner import Owner, writers
from shards.reader import Reader
from shards.verify import verify
from tasks.generate_shard import GenerateShard
from workflows import generate
from workflows.cli import main

SHARD = "train/shard-000001"


def kinds(dataset: Path) -> list[str]:
    return [event["kind"] for event in read_events(dataset)]


def test_makes_a_dataset_and_then_nothing(
    planned: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = planned()
    assert generate.main(["--here", str(dataset)]) == 0
    assert "2 of 2 shards exist" in capsys.readouterr().out
    assert kinds(dataset).count("shard-published") == 2
    assert list(verify(dataset)) == []
    assert generate.main(["--here", str(dataset)]) == 0
    assert "made now  nothing" in capsys.readouterr().out
    assert list((dataset / ".staging").iterdir()) == []


def _part(dataset: Path, part: str) -> None:
    raise SystemExit(generate.main(["--here", str(dataset), "--part", part]))


def test_parts_at_once_fill_one_dataset(planned: Callable[..., Path], generated: Path) -> None:
    """Three drivers at the same time; the outcome is that of one alone."""
    dataset = planned("medium")
    context = multiprocessing.get_context("spawn")
    drivers = [context.Process(target=_part, args=(dataset, f"{n}/3")) for n in (1, 2, 3)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
        assert driver.exitcode == 0
    assert list(verify(dataset)) == []
    for path in generated.rglob("*"):
        other = dataset / path.relative_to(generated)
        own = ("events.jsonl", "owners", "generator.json", "run.json")
        if path.is_file() and path.relative_to(generated).parts[0] not in own:
            assert path.read_bytes() == other.read_bytes(), path
    assert sorted(path.name for path in dataset.glob("events*")) == [
        f"events-{n}-of-3.jsonl" for n in (1, 2, 3)
    ]


def test_a_part_alone_leaves_an_incomplete_dataset(
    planned: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = planned("medium")
    assert generate.main(["--here", str(dataset), "--part", "2/3"]) == 0
    problems = {problem.kind for problem in verify(dataset)}
    assert problems == {"not made yet"}
    assert "**Incomplete**" in (dataset / "README.md").read_text()
    assert json.loads((dataset / "index.json").read_bytes())["complete"] is False


@pytest.mark.parametrize("part", ["0/3", "4/3", "three", "1/", "1/0"])
def test_parts_that_are_none(
    planned: Callable[..., Path], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--here", str(planned()), "--part", part]) == 2
    assert "should be i/n" in capsys.readouterr().err


def _break(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let one shard fail a number of times, as a bug in a generator would."""
    left = times
    run = GenerateShard.run

    def broken(self: GenerateShard, lease: Lease, turn: Turn) -> StagedShard:
        nonlocal left
        if lease.shard == SHARD and left:
            left -= 1
            raise RuntimeError("a kernel went wrong")
        return run(self, lease, turn)

    monkeypatch.setattr(GenerateShard, "run", broken)


def test_a_failing_lease_is_tried_again(
    planned: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = planned()
    _break(monkeypatch, 2)
    assert generate.main(["--here", str(dataset)]) == 0
    assert kinds(dataset).count("lease-failed") == 2
    assert list(verify(dataset)) == []


def test_three_strikes_and_then_only_when_asked(
    planned: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset = planned()
    _break(monkeypatch, 3)
    assert generate.main(["--here", str(dataset)]) == 1
    assert f"{SHARD}: given up after RuntimeError: a kernel went wrong" in capsys.readouterr().err
    (why,) = (json.loads(path.read_bytes()) for path in dataset.glob("quarantine/*/why.json"))
    assert (why["shard"], why["attempt"]) == (SHARD, 3)
    assert "in broken" in why["traceback"]
    assert not list(dataset.glob(f"{SHARD}.*"))
    # The next run leaves it alone, and says so, although it would work by now.
    assert generate.main(["--here", str(dataset)]) == 1
    assert "--retry-failed takes up what was given up" in capsys.readouterr().err
    assert main(["inspect", str(dataset), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["given_up"].keys() == {SHARD}
    assert main(["inspect", str(dataset), "--failed"]) == 1
    assert f"{SHARD}: given up: RuntimeError: a kernel went wrong" in capsys.readouterr().out
    assert main(["inspect", str(dataset), "--verify"]) == 1
    assert (
        f"next, to mend it: relume generate {dataset} --retry-failed\n" in capsys.readouterr().err
    )
    assert generate.main(["--here", str(dataset), "--retry-failed"]) == 0
    assert list(verify(dataset)) == []


def test_half_staged_shards_of_this_part_are_swept(planned: Callable[..., Path]) -> None:
    dataset = planned("medium")
    for name in ("train-shard-000000.3-a", "train-shard-000001.1-b", "test-shard-000077.1-c"):
        (dataset / ".staging" / name).mkdir(parents=True)
        (dataset / ".staging" / name / "tar").write_bytes(b"half")
    # Part 1 has the first shard; the second is another driver's to sweep, the last one nobody's.
    assert generate.main(["--here", str(dataset), "--part", "1/2"]) == 0
    left = {path.name for path in (dataset / ".staging").iterdir()}
    assert left == {"train-shard-000001.1-b", "test-shard-000077.1-c"}


def test_a_second_driver_is_told_who_is_there(
    planned: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = planned()
    with Owner(dataset):
        assert main(["generate", "--here", str(dataset)]) == 2
    assert "dataset: is being written by process" in capsys.readouterr().err


def test_what_is_no_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--here", str(tmp_path)]) == 2
    assert "has no run.json; make one with relume plan" in capsys.readouterr().err
    (tmp_path / "run.json").write_text("{")
    assert main(["generate", "--here", str(tmp_path)]) == 2
    assert "run.json: is damaged" in capsys.readouterr().err


def test_a_model_that_was_not_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    dataset = str(tmp_path / "paper")
    argv = ["plan", "configs/paper.toml", "--dataset", "baseline", "--out", dataset]
    assert main([*argv, "--dataset.count", "8"]) == 0
    capsys.readouterr()
    assert main(["generate", "--here", dataset]) == 2
    assert capsys.readouterr().err == (
        "error: stage.source.model = 'black-forest-labs/FLUX.1-schnell': revision 'main' is not in "
        f"{tmp_path}/hub/models--black-forest-labs--FLUX.1-schnell; "
        "get it with: relume fetch PRESET\n"
    )


@pytest.mark.parametrize(
    ("number", "code", "why"), [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")]
)
def test_a_stop_is_orderly_and_the_same_command_continues(
    planned: Callable[..., Path], number: signal.Signals, code: int, why: str
) -> None:
    dataset = planned("medium", "--dataset.count", "4096")
    driver = subprocess.Popen(
        [sys.executable, "-m", "workflows.generate", str(dataset), "--here"],
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, these tests among them, may be told to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert driver.stderr is not None
    while not list(dataset.glob("train/*.done.json")):
        assert driver.poll() is None
    driver.send_signal(number)
    said = driver.communicate()[1]
    assert driver.returncode == code
    assert "the same command continues" in said
    assert "Traceback" not in said
    stopped = [event for event in read_events(dataset) if event["kind"] == "run-stopped"]
    assert [event["facts"]["why"] for event in stopped] == [why]
    assert writers(dataset) == []
    with Owner(dataset) as owner:
        assert owner.took_over == []


def test_a_pilot_is_a_part_of_the_whole_and_tells_its_cost(
    planned: Callable[..., Path],
    generated: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset, pilot = planned("medium"), tmp_path / "pilot"
    argv = ["generate", "--here", str(dataset), "--limit", "10", "--out", str(pilot)]
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert "the whole plan of 64 samples, at this rate" in said
    assert "worker-hours" in said
    assert list(verify(pilot)) == []
    assert not list(dataset.glob("*/*.tar"))
    # The pictures are those that the whole will have.
    with Reader(pilot) as few, Reader(generated) as all_:
        assert len(few) == 10
        for position in range(len(few)):
            there = all_.position(few.row(position)["id"])
            assert few.read(position, "target") == all_.read(there, "target")
    assert main(argv) == 0  # continued, and nothing left
    assert "nothing was made now" in capsys.readouterr().err
    assert main([*argv[:-1], str(generated)]) == 2
    assert "belongs to another plan" in capsys.readouterr().err
    assert main([*argv[:-1], str(dataset / "train/pilot")]) == 2
    assert "lies in the dataset" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--limit", "3"], ["--out", "somewhere"]])
def test_half_a_pilot(
    planned: Callable[..., Path], options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(planned()), *options]) == 2
    assert "a pilot needs both" in capsys.readouterr().err


def test_no_shard_is_begun_that_would_not_end_in_time(
    planned: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset = planned("medium")
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time())))
    assert main(["generate", "--here", str(dataset)]) == 1
    said = capsys.readouterr().err
    assert "the deadline came before a shard was made" in said
    assert "10 shards left for the next run of the same command" in said
    assert "out-of-time" in kinds(dataset)
    assert main(["generate", "--here", str(dataset), "--deadline", "none"]) == 0
    assert list(verify(dataset)) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--workers", "0"], "--workers 0: should be at least 1"),
        (["--workers", "-1"], "--workers -1: should be at least 1"),
        (["--lease-timeout-s", "-1"], "--lease-timeout-s -1.0: should be more than 0"),
        (["--lease-timeout-s", "nan"], "--lease-timeout-s nan: should be more than 0"),
        (["--deadline", "yesterday"], "--deadline yesterday: should be a time such as"),
        (["--here", "--workers", "2"], "--here: is without Ray"),
    ],
)
def test_options_that_cannot_be_are_refused_even_when_nothing_is_left_to_do(
    generated: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(generated), *options]) == 2
    assert told in capsys.readouterr().err


def test_a_shard_that_was_made_after_all_is_no_longer_given_up(
    planned: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = planned()
    _break(monkeypatch, 3)
    assert main(["generate", "--here", str(dataset)]) == 1
    assert main(["generate", "--here", str(dataset), "--retry-failed"]) == 0
    rows = dataset / f"{SHARD}.parquet"
    rows.write_bytes(rows.read_bytes()[::-1])
    assert main(["generate", "--here", str(dataset), "--mend"]) == 0
    assert list(verify(dataset)) == []


def test_a_folder_that_becomes_read_only_loses_nothing(
    planned: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset = planned()
    link, left = os.link, 20

    def refused(source: Path, path: Path) -> None:
        nonlocal left
        if str(path).endswith(".tar"):
            left -= 10
            if left <= 0:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
        link(source, path)

    monkeypatch.setattr(os, "link", refused)
    assert main(["generate", "--here", str(dataset)]) == 1
    said = capsys.readouterr().err
    assert "Permission denied; nothing published is lost; the same command continues" in said
    monkeypatch.setattr(os, "link", link)
    assert main(["generate", "--here", str(dataset)]) == 0
    assert list(verify(dataset)) == []
