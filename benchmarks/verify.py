"""Verifying a dataset, against nothing but sha256 over the same bytes on all cores.

    python -m benchmarks.verify

Verify hashes each byte twice, once for its file and once for its picture, and compares every row
and member; the peer hashes each file twice and does nothing else. So 1 is the limit.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.random_reads import publish
from benchmarks.timing import judge, medians, say_machine
from shards.verify import verify

# What is left of the limit for rows, members and Python.
TARGET = 0.8
NUM_BYTES, COUNT = 450_000, 1024


def ours(folder: Path, threads: int) -> None:
    """Everything that inspect --verify does."""
    kinds = {problem.kind for problem in verify(folder, threads=threads)}
    assert kinds <= {"duplicate"}, kinds  # the benchmark's pictures repeat


def theirs(folder: Path) -> None:
    """Only sha256, twice over every file, a file to a thread."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_hash, [path for path in folder.glob("*/*.*") for _ in range(2)]))


def _hash(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    """Time both; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    say_machine()
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        publish(folder, NUM_BYTES, COUNT)
        num_bytes = sum(path.stat().st_size for path in folder.glob("*/*.tar"))
        seconds = medians(
            {
                "verify": lambda: ours(folder, cores),
                "verify, one thread": lambda: ours(folder, 1),
                "sha256 twice": lambda: theirs(folder),
            },
            arguments.runs,
        )
    for peer, median in seconds.items():
        print(f"{peer}: {median:.2f} s, {num_bytes / median / 1e6:,.0f} MB/s of dataset")
    speedup = seconds["verify, one thread"] / seconds["verify"]
    print(f"speed on {cores} cores against one: {speedup:.2f}")
    ratio = seconds["sha256 twice"] / seconds["verify"]
    return 0 if judge("speed against sha256 twice", ratio, TARGET) else 1


if __name__ == "__main__":
    sys.exit(main())
