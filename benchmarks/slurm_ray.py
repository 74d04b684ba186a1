"""Ray up on the nodes of a job and a small job done there, beside `ray symmetric-run`.

    make slurm-lab
    python -m benchmarks.slurm_ray --folder SHARED [--nodes 4] [--rounds 3]

From sbatch to the last word of the Ray job, and until the nodes are free again, which is what is
compared: the next job cannot begin before. Both ways run one task on each node.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from shards.provenance import ROOT
from slurm.site import find_job

LIMIT = 0.5
_PATIENCE_S = 600.0
OURS = """#!/bin/bash
set -euo pipefail
cd {root}
python={python}
source slurm/ray_start.sh
{work}
"""
SYMMETRIC = """#!/bin/bash
set -euo pipefail
cd {root}
export PATH=$(dirname {python}):$PATH
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH={folder}/symmetric.token
(umask 077; od -An -N24 -tx1 /dev/urandom | tr -d ' \\n' >"$RAY_AUTH_TOKEN_PATH")
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(getent ahostsv4 "$head" | awk 'NR == 1 {{print $1}}')
srun --ntasks-per-node=1 {python} -m ray.scripts.scripts symmetric-run --address "$address:6379" \\
  --min-nodes {nodes} --num-cpus=1 -- {work}
"""


@dataclass(frozen=True)
class Times:
    """Seconds since sbatch was called."""

    done: float
    free: float


def job_on_ray(nodes: int, out: Path) -> None:
    """One task on each node; then says when that was."""
    import ray

    ray.init(address=os.environ.get("RAY_ADDRESS", "auto"), log_to_driver=False)

    @ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
    def where() -> str:
        time.sleep(0.5)
        return os.uname().nodename

    hosts = set(ray.get([where.remote() for _ in range(nodes)]))
    if len(hosts) != nodes:
        raise RuntimeError(f"tasks ran on {sorted(hosts)}, not on {nodes} nodes")
    out.write_text(str(time.time()))


def run_once(name: str, template: str, folder: Path, nodes: int) -> Times:
    """Submit one script and wait until its nodes are free."""
    folder.mkdir(parents=True, exist_ok=True)
    script, done, log = (folder / f"{name}.{end}" for end in ("sbatch", "done", "log"))
    done.unlink(missing_ok=True)
    python = shlex.quote(sys.executable)
    words = [sys.executable, "-m", "benchmarks.slurm_ray", "--job", str(done)]
    work = shlex.join([*words, "--nodes", str(nodes)])
    facts = {"root": ROOT, "python": python, "nodes": nodes, "work": work, "folder": folder}
    script.write_text(template.format(**facts))
    sizes = [f"-N{nodes}", "--ntasks-per-node=1", "--cpus-per-task=1", "--time=15"]
    begun = time.time()
    said = subprocess.run(
        ["sbatch", "--parsable", *sizes, f"--output={log}", str(script)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"RELUME_TOKENS": str(folder)},
    )
    job = said.stdout.strip()
    while (found := find_job(job)) is not None and found.outstanding:
        if time.time() > begun + _PATIENCE_S:
            raise TimeoutError(f"{name}: the job does not end; see {log}")
        time.sleep(0.05)
    if not done.exists():
        raise RuntimeError(f"{name}: the work was not done; see {log}")
    return Times(float(done.read_text()) - begun, time.time() - begun)


def main() -> int:
    """Print the medians; 1 when the target is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    if chosen.job:
        job_on_ray(chosen.nodes, chosen.job)
        return 0
    times: dict[str, list[Times]] = {"relume": [], "symmetric-run": []}
    for _ in range(chosen.rounds):
        for name, template in (("relume", OURS), ("symmetric-run", SYMMETRIC)):
            times[name].append(run_once(name, template, chosen.folder.absolute(), chosen.nodes))
    for name, found in times.items():
        done, free = (statistics.median(getattr(one, part) for one in found) for part in _PARTS)
        print(f"{name}: done after {done:.1f} s, nodes free after {free:.1f} s")
    pairs = zip(times["relume"], times["symmetric-run"], strict=True)
    ratio = statistics.median(ours.free / theirs.free for ours, theirs in pairs)
    print(f"ratio {ratio:.2f}, the median of pairs; target {LIMIT}")
    return 0 if ratio <= LIMIT else 1


_PARTS = ("done", "free")


if __name__ == "__main__":
    raise SystemExit(main())
