"""Alternating runs of peers, medians and ratios, and the machine they ran on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping

from shards.provenance import library_versions, processor


def medians(
    peers: Mapping[str, Callable[[], object]],
    runs: int,
    tidy: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Median seconds of each peer; they take turns, so that a slow minute is everybody's.

    `tidy` runs before each and is not timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    for run in range(runs + 1):
        for name, work in peers.items():
            tidy()
            begun = time.perf_counter()
            work()
            if run:  # the first round warms the caches
                seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in seconds.items()}


def say_machine() -> None:
    """One line about the machine and the libraries."""
    libraries = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    print(f"{processor()}, {os.cpu_count()} cores, {platform.system()}; {libraries}")


def judge(what: str, ratio: float, least: float) -> bool:
    """Say a ratio beside its target; whether it is reached."""
    reached = ratio >= least
    print(f"{what}: {ratio:.2f} (target: at least {least:g}) {'ok' if reached else 'MISSED'}")
    return reached
