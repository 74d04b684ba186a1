"""A real Slurm for all tests of this folder, and a small dataset to train on."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import Tensor

from slurm.site import ENDED
from tests.presets import PROCEDURAL
from tests.slurm.lab import Lab, until, why_not
from tests.training_runs import state_of
from workflows import generate, plan

ROOT = Path(__file__).parents[2]
PRESET = f"""
seed = 7
[split]
train = 3
validation = 1
test = 1
{PROCEDURAL}[dataset.pairs]
prompt = "A portrait"
count = 64
stages = ["source", "target"]
size_px = 64
shard_size = 8
batch_size = 4

[train.network]
kind = "resnet"
width = 4
num_blocks = 2
attention = "none"
residual_output = true
[train.objective]
kind = "cyclegan"
pool = 3
discriminator = {{width = 4, num_layers = 2}}
[[train.phase]]
epochs = 4
batch_size = 2
crop_px = 32
[train.data]
pairing = "shuffled"
loader_workers = 0
[train.optimiser]
ema_half_life_images = 20
[train.validation]
count = 2
grid = 1
every_epochs = 2
[train.record]
save_every_steps = 3
log_every_steps = 1

[slurm]
nodes = 4
gpus_per_node = 1
cpus_per_task = 1
hours = 1
save_before_end_s = 1200
"""


class Labs:
    """The lab that tests share; one that may be broken is replaced."""

    def __init__(self) -> None:
        self._lab: Lab | None = None

    def now(self) -> Lab:
        """A lab with nothing in it."""
        if self._lab is None:
            self._lab = Lab()
            self._lab.up()
        return self._lab

    def end(self, logs: Path | None = None) -> None:
        """End the lab, if there is one; keep its logs."""
        if self._lab is not None:
            if logs is not None:
                shutil.copytree(self._lab.folder / "log", logs)
            self._lab.down()
            self._lab = None


@pytest.fixture(scope="session")
def labs() -> Iterator[Labs]:
    found = Labs()
    yield found
    found.end()


@pytest.fixture
def lab(labs: Labs, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """Four nodes with four fake GPUs each; skips where there can be none."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    one, failed = labs.now(), request.session.testsfailed
    yield one
    # What has failed here must not make the next test fail.
    if request.session.testsfailed > failed:
        labs.end(tmp_path / "lab-logs")
    elif not one.settle():
        labs.end()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all nodes see."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def preset(shared: Path) -> Path:
    path = shared / "small.toml"
    path.write_text(PRESET)
    return path


@pytest.fixture(scope="session")
def pairs(shared: Path, preset: Path) -> Path:
    """A finished dataset of 64 pairs."""
    dataset = shared / "pairs"
    assert plan.main([str(preset), "--dataset", "pairs", "--out", str(dataset)]) == 0
    assert generate.main(["--here", str(dataset)]) == 0
    return dataset


@pytest.fixture(scope="session")
def undisturbed(shared: Path, preset: Path, pairs: Path) -> dict[str, Tensor]:
    """What four processes on one machine end with, when nothing happens to them."""
    run = shared / "undisturbed"
    train_undisturbed(4, preset, pairs, run)
    return state_of(run)


def train_undisturbed(count: int, preset: Path, pairs: Path, run: Path, *options: str) -> None:
    words = [sys.executable, "tests/slurm/undisturbed.py", str(count), preset, pairs, run]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([*words, *options], cwd=ROOT, env=environment, check=True)


@dataclass
class Submitted:
    """A training run that was submitted to the lab."""

    lab: Lab
    run: Path
    job: str
    words: list[str]
    brake: Path
    verb: str = "train"

    def wait_at_brake(self, ranks: int = 4, restarts: int = 0) -> None:
        """Go on when all ranks of an incarnation wait before the step that they are held at."""
        names = {f"{restarts}-{rank}" for rank in range(ranks)}
        held = lambda: names <= {one.name for one in self.brake.iterdir()}  # noqa: E731
        until(held, f"ranks at {self.brake}: see the logs in {self.run}/slurm/jobs")

    def let_go(self) -> None:
        """Hold no rank any more."""
        (self.brake / "let-go").touch()

    def signal(self, rank: int, name: str) -> None:
        """Send a signal to the process of a rank that is held."""
        node, process = (self.brake / f"0-{rank}").read_text().split()
        self.lab.on(node, "kill", f"-{name}", process)

    def wait_for_end(self) -> None:
        """Go on when Slurm has nothing left to do for this job."""
        ended = lambda: self.lab.show(self.job)["JobState"] in ENDED  # noqa: E731
        until(ended, f"the end of job {self.job}")

    def again(self, *options: str) -> Submitted:
        """The same command once more."""
        return submit(self.lab, self.run, self.words, self.brake, *options, verb=self.verb)

    def attempts(self) -> list[dict[str, object]]:
        """The records of all attempts, in their order."""
        paths = (self.run / "slurm/attempts").glob("*.json")
        return sorted((json.loads(one.read_text()) for one in paths), key=lambda one: one["begun"])

    def ends(self) -> list[object]:
        """How each attempt ended."""
        return [one["ended"] for one in self.attempts()]

    def log(self) -> str:
        """What batch script and first rank wrote."""
        return (self.run / f"slurm/jobs/{self.job}_0_log.out").read_text()


def submit(
    lab: Lab, run: Path, words: list[str], brake: Path, *options: str, verb: str = "train"
) -> Submitted:
    said = lab.run(*relume(verb, *words, *options), stderr=None, cwd=ROOT)
    return Submitted(lab, run, said.split()[-1], words, brake, verb)


def relume(verb: str, *words: str | Path) -> list[str]:
    """A verb's command line, run from this tree."""
    return [sys.executable, "-m", f"workflows.{verb}", *map(str, words)]


@pytest.fixture
def braked(tmp_path: Path) -> Callable[[int], Path]:
    """Makes an interpreter that holds a rank before its step of that number, counted from 0."""

    def make(step: int) -> Path:
        (tmp_path / "brake").mkdir()
        script, brake = tmp_path / "braked", [ROOT / "tests/slurm/brake.py", tmp_path / "brake"]
        words = [sys.executable, "-u", *brake, str(step)]
        script.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
        script.chmod(0o755)
        return script

    return make


@pytest.fixture
def train(
    lab: Lab, preset: Path, pairs: Path, shared: Path, braked: Callable[[int], Path], tmp_path: Path
) -> Callable[..., Submitted]:
    """Submits a training run of its own, whose ranks may be held before a step."""

    def make(name: str, *options: str, hold: int | None = None) -> Submitted:
        run = shared / name
        words = [str(preset), "--data", str(pairs), "--out", str(run), "--launcher", "slurm"]
        if hold is not None:
            words += ["--slurm.wrapper", str(braked(hold))]
        return submit(lab, run, words, tmp_path / "brake", *options)

    return make
