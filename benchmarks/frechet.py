"""Seconds of one Frechet distance: python -m benchmarks.frechet [--rows 10000] [--features 2048].

Features are random with a spectrum that falls as a network's does. Processor time is told beside
the clock's, since a linear-algebra library's threads wait by turning.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from metrics.frechet import Eigenvalues, gaussian, gaussian_distance, numpy_eigenvalues


def main() -> None:
    """Print a line for each way to eigenvalues."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=10_000)
    options.add_argument("--features", type=int, default=2048)
    options.add_argument("--repeats", type=int, default=3)
    asked = options.parse_args()
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(asked.features, asked.features)) / asked.features**0.5
    mixing *= np.exp(-np.arange(asked.features) * 5 / asked.features)
    sets = [
        (mean + rng.normal(size=(asked.rows, asked.features)) @ mixing).astype(np.float32)
        for mean in (0.0, 0.02)
    ]
    ways: dict[str, Eigenvalues] = {"numpy": numpy_eigenvalues, "torch": _torch_eigenvalues}
    for name, way in ways.items():
        best = min(_timed(sets, way) for _ in range(asked.repeats))
        clock, processor, covariances, found = best
        print(
            f"{name}: {clock:.2f} s, {processor:.2f} s of the processor, {covariances:.2f} of them "
            f"for two covariances; {asked.rows:,} + {asked.rows:,} at {asked.features:,}: "
            f"{found:.9g}"
        )


def _timed(sets: list[NDArray[np.float32]], way: Eigenvalues) -> tuple[float, float, float, float]:
    begun, used = time.perf_counter(), time.process_time()
    one, other = (gaussian(features) for features in sets)
    between = time.process_time() - used
    found = gaussian_distance(one, other, way)
    return time.perf_counter() - begun, time.process_time() - used, between, found


def _torch_eigenvalues(symmetric: NDArray[np.float64]) -> NDArray[np.float64]:
    import torch

    return np.asarray(torch.linalg.eigvalsh(torch.from_numpy(symmetric)).numpy(), np.float64)


if __name__ == "__main__":
    main()
