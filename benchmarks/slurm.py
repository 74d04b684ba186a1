"""What a job's start, stop and new start cost beside the plain ways; run on a login host of Slurm.

    make slurm-lab
    python -m benchmarks.slurm --data DATASET --folder SHARED [--nodes 4] [--tasks 4] [--rounds 3]

Start: from the call to the first all-reduce of all ranks, as a submitted job and by a bare srun of
the same ranks. Stop: from the signal to the saved state. Again: from a new attempt's begin to its
first step, beside a fresh one's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.place import Ending, Place
from schemas.slurm import SlurmSettings
from shards.provenance import ROOT
from slurm.attempts import Attempt, Attempts
from slurm.code_copy import copy_code
from slurm.submit import JobRequest, submit

START_LIMIT, STOP_LIMIT_S, AGAIN_LIMIT = 1.15, 5.0, 1.2
_POLL_S = 0.02
_PATIENCE_S = 300.0
PRESET = """
[train.network]
kind = "resnet"
width = 8
num_blocks = 3
attention = "esa"
residual_output = true
[train.objective]
kind = "cyclegan"
discriminator = {width = 16, num_layers = 2, norm = "none", detail_gain = 8.0}
[[train.phase]]
epochs = 1000
crop_px = 60
batch_size = 1
[train.data]
pairing = "shuffled"
loader_workers = 0
[train.validation]
count = 2
every_epochs = 1000
[train.record]
save_every_steps = 1000
log_every_steps = 1
"""


@dataclass(frozen=True)
class FirstAllReduce:
    """Work that ends with its first all-reduce, and says when."""

    out: Path

    def __call__(
        self, place: Place, stop: Callable[[], bool], saved: Callable[[int], None]
    ) -> Ending:
        """Meet and sum."""
        from tasks.training.meeting import meet
        from tasks.training.ranks import Ranks, join, part

        ranks = Ranks(place.rank, place.count, place.local_rank)
        join(ranks, "cpu", meet(place))
        _reduce(place.rank, self.out)
        part(ranks)
        return "finished"


def bare(out: Path) -> None:
    """The same by the variables that a person would set."""
    from torch import distributed

    rank, count = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
    distributed.init_process_group("gloo", rank=rank, world_size=count)
    _reduce(rank, out)
    distributed.destroy_process_group()


def _reduce(rank: int, out: Path) -> None:
    import torch
    from torch import distributed

    total = torch.ones(1)
    distributed.all_reduce(total)
    if rank == 0:
        out.write_text(json.dumps({"time": time.time(), "ranks": int(total)}))


def start_by_job(folder: Path, nodes: int, tasks: int) -> float:
    """Seconds from the call of submit to the first all-reduce."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = SlurmSettings(
        nodes=nodes, gpus_per_node=0, tasks_per_node=tasks, cpus_per_task=1, hours=0.5
    )
    request = JobRequest(
        name="relume-bench",
        comment="",
        folder=folder,
        runs=(folder,),
        reads=(),
        settings=settings,
    )
    begun = time.time()
    code = copy_code(folder)
    shutil.copytree(ROOT / "benchmarks", code / "benchmarks")
    submit(request, [FirstAllReduce(folder / "done.json")])
    return _when(folder / "done.json", nodes * tasks) - begun


def start_by_srun(folder: Path, nodes: int, tasks: int) -> float:
    """Seconds from the call of srun to the first all-reduce."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    first = subprocess.run(
        ["scontrol", "show", "hostnames", _all_nodes()], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    environment = dict(os.environ, MASTER_ADDR=first, MASTER_PORT="29517")
    begun = time.time()
    words = [f"-N{nodes}", f"--ntasks-per-node={tasks}", "--cpus-per-task=1", f"-w{first}"]
    program = [sys.executable, "-m", "benchmarks.slurm", "--bare", str(folder / "done.json")]
    subprocess.run(["srun", *words, *program], env=environment, cwd=ROOT, check=True)
    return _when(folder / "done.json", nodes * tasks) - begun


def stop_and_again(folder: Path, data: Path, nodes: int) -> tuple[float, float, float]:
    """Seconds from signal to saved; from begin to first step, afresh and again."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "preset.toml").write_text(PRESET)
    run = folder / "run"
    words = [str(folder / "preset.toml"), "--data", str(data), "--out", str(run)]
    sizes = [f"--slurm.nodes={nodes}", "--slurm.gpus-per-node=1", "--slurm.cpus-per-task=1"]
    verb = [sys.executable, "-m", "workflows.train", *words, "--launcher", "slurm", *sizes]
    done = subprocess.run(verb, capture_output=True, text=True, cwd=ROOT, check=True)
    job = done.stdout.split()[-1]
    try:
        fresh = _first_step(run, 0)
        _until(lambda: len(_steps(run)) > 20)
        subprocess.run(["scancel", "--signal=USR2", job], check=True)
        asked = time.time()
        _until(lambda: _attempt(run, 0).ended != "lost")
        stopped = time.time() - asked
        _until(lambda: len(Attempts(run).all()) > 1)
        again = _first_step(run, 1)
    finally:
        subprocess.run(["scancel", job], check=False)
    return stopped, fresh, again


def _first_step(run: Path, number: int) -> float:
    """Seconds from an attempt's begin to the first step it tells."""
    from datetime import datetime

    _until(lambda: len(Attempts(run).all()) > number)
    attempt = _attempt(run, number)
    _until(lambda: any(one["step"] > attempt.from_step for one in _steps(run)))
    return time.time() - datetime.fromisoformat(attempt.begun).timestamp()


def _attempt(run: Path, number: int) -> Attempt:
    return Attempts(run).all()[number]


def _steps(run: Path) -> list[dict[str, Any]]:
    try:
        lines = (run / "metrics.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith("}")]


def _when(path: Path, ranks: int) -> float:
    _until(path.exists)
    _until(lambda: path.read_text().endswith("}"))
    told = json.loads(path.read_text())
    if told["ranks"] != ranks:
        raise RuntimeError(f"{path}: {told['ranks']} ranks met, {ranks} were asked for")
    return float(told["time"])


def _until(reached: Callable[[], object]) -> None:
    limit = time.monotonic() + _PATIENCE_S
    while not reached():
        if time.monotonic() > limit:
            raise TimeoutError("the job does not come on; see its log")
        time.sleep(_POLL_S)


def _all_nodes() -> str:
    said = subprocess.run(["sinfo", "-h", "-o", "%N"], capture_output=True, text=True, check=True)
    return said.stdout.split()[0]


def _wait_for_quiet() -> None:
    _until(lambda: not subprocess.run(["squeue", "-h", "--me"], capture_output=True).stdout.strip())


def main() -> int:
    """Print the table; 1 when a target is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bare", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.bare:
        bare(chosen.bare)
        return 0
    starts: dict[str, list[float]] = {"job": [], "srun": []}
    for _ in range(chosen.rounds):
        starts["job"].append(start_by_job(chosen.folder / "job", chosen.nodes, chosen.tasks))
        _wait_for_quiet()
        starts["srun"].append(start_by_srun(chosen.folder / "srun", chosen.nodes, chosen.tasks))
        _wait_for_quiet()
    medians = {name: statistics.median(times) for name, times in starts.items()}
    ranks = chosen.nodes * chosen.tasks
    # Of pairs that ran one after the other: what else the machine does changes meanwhile.
    pairs = zip(starts["job"], starts["srun"], strict=True)
    ratio = statistics.median(job / srun for job, srun in pairs)
    print(f"first all-reduce of {ranks} ranks: {medians['job']:.1f} s as a job")
    print(f"  {medians['srun']:.1f} s by srun; ratio {ratio:.2f}, target {START_LIMIT}")
    measured = []
    for _ in range(chosen.rounds):
        measured.append(stop_and_again(chosen.folder / "stop", chosen.data, chosen.nodes))
        _wait_for_quiet()
    stopped, fresh, again = (statistics.median(times) for times in zip(*measured, strict=True))
    print(f"saved {stopped:.2f} s after the signal, target {STOP_LIMIT_S:g}")
    print(f"first step {again:.1f} s after a requeued attempt's begin, {fresh:.1f} s after a fresh")
    slower = statistics.median(again / fresh for _, fresh, again in measured)
    print(f"  one's; ratio {slower:.2f}, target {AGAIN_LIMIT}")
    met = ratio <= START_LIMIT and stopped <= STOP_LIMIT_S and slower <= AGAIN_LIMIT
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
