"""Seconds of precision and recall with intervals: python -m benchmarks.neighbours [--rows 10000].

Beside the values alone, which need the same distances. So many prompts in each half, both ways, 100
parts of each kind. Features are random and not negative, on 64 directions and noise. Processor time
is told beside the clock's.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from metrics.gap import Halves
from metrics.neighbour_gap import neighbour_gap
from metrics.neighbours import precision_recall

_DIRECTIONS = 64


def main() -> None:
    """Print a line for each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=10_000)
    options.add_argument("--features", type=int, default=2048)
    options.add_argument("--draws", type=int, default=100)
    asked = options.parse_args()
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(_DIRECTIONS, asked.features)).astype(np.float32)

    def halves(shift: float, spread: float) -> Halves:
        found = []
        for _ in range(2):
            places = shift + spread * rng.normal(size=(asked.rows, _DIRECTIONS)).astype(np.float32)
            noise = rng.normal(size=(asked.rows, asked.features)).astype(np.float32)
            found.append(np.maximum(places @ directions + noise, 0))
        return Halves(*found)

    row, reference = halves(0.1, 0.9), halves(0.0, 1.0)
    begun, used = time.perf_counter(), time.process_time()
    told = neighbour_gap(row, reference, draws=asked.draws)
    _tell("with intervals", begun, used, told.precision.value, told.recall.value)
    begun, used = time.perf_counter(), time.process_time()
    bare = [precision_recall(*way) for way in ((row.a, reference.b), (row.b, reference.a))]
    precision = float(np.mean([one.precision for one in bare]))
    _tell("values alone", begun, used, precision, float(np.mean([one.recall for one in bare])))


def _tell(what: str, begun: float, used: float, precision: float, recall: float) -> None:
    clock, processor = time.perf_counter() - begun, time.process_time() - used
    print(
        f"{what}: {clock:.1f} s, {processor:.1f} s of the processor; "
        f"precision {precision:.4f}, recall {recall:.4f}"
    )


if __name__ == "__main__":
    main()
