"""Is `relume names` four times as fast and as small as plain pandas, with the same names?

All read the same invented name.basics in processes of their own, in turn; a run's time and peak
memory are the whole process's. The targets are held against the peer that follows the same rule:
both write every distinct name, and these must be the same. The lean peer's ratio is only shown.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import tyro

TARGET = 1 / 4
OURS, PEER, LEAN = "relume names", "plain pandas", "lean pandas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Measure `relume names` against plain pandas."""

    rows: int = 14_000_000
    """People in the invented name.basics."""
    runs: int = 3
    """Runs of each, in turn; medians count."""
    count: int = 140_000
    """Names to choose; a tenth of the rows at the most."""
    folder: Path = Path("runs/benchmarks")
    """Where the invented file is kept for the next time."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took."""

    seconds: float
    peak_mb: float


def main() -> int:
    """Print the medians, their ratios and the targets; 1 if one is missed."""
    arguments = tyro.cli(Arguments)
    source = arguments.folder / f"name.basics-{arguments.rows}.tsv.gz"
    if not source.exists():
        partial = source.with_suffix(".partial")
        # In a process of its own: a child's peak begins with that of the process it is forked from.
        generator = [sys.executable, "-m", "benchmarks.name_basics", str(partial)]
        subprocess.run([*generator, "--rows", str(arguments.rows), "--level", "6"], check=True)
        partial.replace(source)
    count = str(min(arguments.count, arguments.rows // 10))
    print(f"machine: {_machine()}")
    print(f"{source}: {arguments.rows:,} rows, {source.stat().st_size / 1e6:,.0f} MB")
    runs: dict[str, list[Run]] = {OURS: [], PEER: [], LEAN: []}
    for number in range(arguments.runs):
        for who, done in runs.items():
            done.append(_measured(who, source, count))
            print(
                f"run {number + 1}  {who:<12}  {done[-1].seconds:6.2f} s"
                f"  {done[-1].peak_mb:7,.0f} MB",
                flush=True,
            )
    return int(not (_within_targets(runs) & _same_names(source)))


def _within_targets(runs: dict[str, list[Run]]) -> bool:
    """Print medians and ratios; whether both targets are met."""
    met = True
    for what, unit in (("seconds", "s"), ("peak_mb", "MB")):
        ours, peer, lean = (
            statistics.median(getattr(run, what) for run in done) for done in runs.values()
        )
        within = ours / peer <= TARGET
        met &= within
        print(
            f"median {unit:<2}  ours {ours:,.2f}  plain pandas {peer:,.2f}"
            f"  ratio {ours / peer:.3f}, target {TARGET}: {'met' if within else 'MISSED'}"
            f"  (lean pandas {lean:,.2f}, ratio {ours / lean:.3f})"
        )
    return met


def _same_names(source: Path) -> bool:
    """Whether both find the same distinct names of the same people, the lowest nconst of each."""
    with tempfile.TemporaryDirectory() as folder:
        ours, peer = Path(folder, "ours.parquet"), Path(folder, "peer.parquet")
        _run(_command(OURS, source, ours, "all"))
        _run(_command(PEER, source, peer, "all"))
        names = pq.read_table(ours, columns=["name"])["name"]
        plain = pq.read_table(peer, columns=["primaryName"])["primaryName"].cast(pa.string())
        same = len(names) == len(plain) and set(names.to_pylist()) == set(plain.to_pylist())
    print(f"distinct names: ours {len(names):,}, plain pandas {len(plain):,}: ", end="")
    print("the same" if same else "DIFFERENT")
    return same


def _measured(who: str, source: Path, count: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        return _run(_command(who, source, Path(folder, "names.parquet"), count))


def _command(who: str, source: Path, out: Path, count: str) -> list[str]:
    python = [sys.executable, "-m"]
    if who != OURS:
        rule = "same" if who == PEER else "lean"
        return [*python, "benchmarks.plain_names", rule, str(source), str(out), count]
    return [*python, "workflows.names", str(source), "--out", str(out), "--count", count]


def _run(command: list[str]) -> Run:
    """Run a command to its end; its own time and peak, from the system's account of it."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed with {process.returncode}: {' '.join(command)}")
    return Run(seconds, usage.ru_maxrss * 1024 / 1e6)


def _machine() -> str:
    isal = "isal" if importlib.util.find_spec("isal") else "no isal"
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()},"
        f" pandas {pd.__version__}, pyarrow {pa.__version__}, {isal}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
