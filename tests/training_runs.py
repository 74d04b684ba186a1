"""What a training run has left and told, for tests that compare one run with another."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# What no two runs have in common.
TIMES = {"images_per_s", "device_s"}


def lines_of(run: Path) -> list[dict[str, Any]]:
    """Every line."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def lines_without_times(run: Path) -> list[dict[str, Any]]:
    """Every line, without what is another in a run that is otherwise the same."""
    return [{key: one[key] for key in one if key not in TIMES} for one in lines_of(run)]


def stop_after(steps: int) -> Callable[[], bool]:
    """What a run asks after each step: whether somebody wants it to stop."""
    asked = itertools.count()
    return lambda: next(asked) >= steps


def state_of(run: Path) -> dict[str, Tensor]:
    """Every tensor of a run's last state: weights, averages, moments, pools, generators."""
    folder = run / "state" / json.loads((run / "state/LAST").read_text())["folder"]
    return {
        f"{path.name}{where}": tensor
        for path in sorted(folder.iterdir())
        for where, tensor in _tensors(torch.load(path, weights_only=True))
    }


def differing(run: Path, wanted: dict[str, Tensor], but: str | None = None) -> list[str]:
    """The tensors of a run's state that are not bit for bit what is wanted.

    Those with `but` in their names are left out.
    """
    found = state_of(run)
    assert found.keys() == wanted.keys()
    return [
        name
        for name in wanted
        if not torch.equal(found[name], wanted[name]) and (but is None or but not in name)
    ]


def _tensors(state: object, path: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(state, Tensor):
        yield path, state
    elif isinstance(state, dict | list | tuple):
        inner = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in inner:
            yield from _tensors(value, f"{path}/{key}")
