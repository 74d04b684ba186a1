"""Painting procedural pairs on one core.

python -m benchmarks.painter
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from benchmarks.timing import judge, medians, say_machine
from models.generators.procedural.painter import paint_pairs
from models.generators.procedural.people import draw_people

TARGET, TARGET_PX = 1000.0, 64
# Pictures to paint at each size, so that every size takes about as long.
SIZES = {64: 512, 128: 128, 256: 32, 512: 8}


def paint(size_px: int, count: int) -> None:
    """People, sources and targets out of prompts and seeds; numpy takes one core for it."""
    seeds = range(count)
    people = draw_people([f"A professional portrait of Name {n}" for n in seeds], seeds)
    paint_pairs(people, seeds, size_px)


def main() -> int:
    """Time every size; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    say_machine()
    work: dict[str, Callable[[], object]] = {
        f"{size_px} px": partial(paint, size_px, count) for size_px, count in SIZES.items()
    }
    seconds = medians(work, arguments.runs)
    rates = {size: SIZES[size] / seconds[f"{size} px"] for size in SIZES}
    for size_px, rate in rates.items():
        print(f"{size_px} px: {rate:,.0f} pairs/s per core")
    return 0 if judge("pairs/s per core at 64 px", rates[TARGET_PX], TARGET) else 1


if __name__ == "__main__":
    sys.exit(main())
