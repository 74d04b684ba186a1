"""A real Slurm for all tests of this folder, and a small dataset to train on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from slurm.site import ENDED
from tests.presets import PROCEDURAL
from tests.slurm.lab import Lab, until, why_not
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
width = 16
num_blocks = 2
attention = "esa"
residual_output = true
[train.objective]
kind = "cyclegan"
pool = 3
discriminator = {{width = 4, num_layers = 2}}
[[train.phase]]
epochs = 6
batch_size = 2
[train.data]
pairing = "shuffled"
loader_workers = 0
[train.optimiser]
ema_half_life_images = 20
[train.validation]
count = 4
grid = 1
every_epochs = 3
[train.record]
save_every_steps = 3
log_every_steps = 1

[slurm]
nodes = 4
gpus_per_node = 1
cpus_per_task = 1
hours = 1
save_before_end_s = 30
"""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Four nodes with four fake GPUs each; skips where there can be none."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Lab() as one:
        yield one


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
    words = [str(preset), "--data", str(pairs), "--out", str(run), "--processes", "4"]
    subprocess.run([sys.executable, "-m", "workflows.train", *words], cwd=ROOT, check=True)
    return state_of(run)


@dataclass
class Submitted:
    """A training run that was submitted to the lab."""

    lab: Lab
    run: Path
    job: str
    words: list[str]

    def saved(self) -> int:
        """Steps in the last saved state."""
        try:
            return int(json.loads((self.run / "state/LAST").read_text())["steps_done"])
        except FileNotFoundError:
            return 0

    def wait_for(self, step: int) -> None:
        """Go on when so many steps are saved."""
        until(lambda: self.saved() >= step, f"step {step} of {self.run}", 120)

    def wait_for_end(self) -> None:
        """Go on when Slurm has nothing left to do for this job."""
        ended = lambda: self.lab.show(self.job)["JobState"] in ENDED  # noqa: E731
        until(ended, f"the end of job {self.job}", 300)

    def wait_for_state(self, state: str) -> None:
        """Go on when Slurm says this of the job."""
        until(lambda: self.lab.show(self.job)["JobState"] == state, f"{self.job}: {state}", 90)

    def again(self, *options: str) -> Submitted:
        """The same command once more."""
        return submit(self.lab, self.run, self.words, *options)

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


def submit(lab: Lab, run: Path, words: list[str], *options: str) -> Submitted:
    said = lab.run(*relume("train", *words, *options), stderr=None, cwd=ROOT)
    return Submitted(lab, run, said.split()[-1], words)


def relume(verb: str, *words: str | Path) -> list[str]:
    """A verb's command line, run from this tree."""
    return [sys.executable, "-m", f"workflows.{verb}", *map(str, words)]


@pytest.fixture
def train(lab: Lab, preset: Path, pairs: Path, shared: Path) -> Iterator[Callable[..., Submitted]]:
    """Submits a training run of its own; whatever is left of it is cancelled."""
    begun: list[Submitted] = []

    def make(name: str, *options: str) -> Submitted:
        run = shared / name
        words = [str(preset), "--data", str(pairs), "--out", str(run), "--launcher", "slurm"]
        begun.append(submit(lab, run, words, *options))
        return begun[-1]

    yield make
    lab.run("scancel", "--user=root", check=False)
    until(lambda: not lab.run("squeue", "-h").strip(), "an empty queue", 90)


def state_of(run: Path) -> dict[str, Tensor]:
    """Every tensor of a run's saved state."""
    folder = run / "state" / json.loads((run / "state/LAST").read_text())["folder"]
    return {
        f"{path.name}{where}": tensor
        for path in sorted(folder.iterdir())
        for where, tensor in _tensors(torch.load(path, weights_only=True))
    }


def differing(run: Path, wanted: dict[str, Tensor]) -> list[str]:
    """The tensors of a run's state that are not bit for bit what is wanted."""
    found = state_of(run)
    assert found.keys() == wanted.keys()
    return [name for name in wanted if not torch.equal(found[name], wanted[name])]


def _tensors(state: object, path: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(state, Tensor):
        yield path, state
    elif isinstance(state, dict | list | tuple):
        inner = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in inner:
            yield from _tensors(value, f"{path}/{key}")
