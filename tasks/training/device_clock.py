"""How long a training run has held its devices, through all its stops; decides nothing."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic

DEVICE_S = "device_s"


class DeviceClock:
    """Seconds of all processes of a run together, a device each, from when they are set up.

    What lies between the last saved state and a kill is in no state, and so is not counted.
    """

    def __init__(self, processes: int) -> None:
        self._processes, self._begun = processes, monotonic()
        self._before_s: float | None = 0.0

    def go_on_from(self, spent_s: float | None) -> None:
        """Add to what earlier starts have spent; None where they did not tell."""
        self._before_s = spent_s

    def spent_s(self) -> float | None:
        """So far; None where an earlier start did not tell."""
        if self._before_s is None:
            return None
        return self._before_s + (monotonic() - self._begun) * self._processes

    def told(self) -> dict[str, float]:
        """What a line of metrics.jsonl says of it."""
        spent_s = self.spent_s()
        return {} if spent_s is None else {DEVICE_S: round(spent_s, 3)}


def device_seconds(metrics: Path) -> float | None:
    """What the last whole line of a metrics.jsonl tells; None where it tells nothing."""
    for line in reversed(metrics.read_bytes().splitlines()):
        try:
            spent_s = json.loads(line).get(DEVICE_S)
        except ValueError:
            continue  # cut short by a crash
        return None if spent_s is None else float(spent_s)
    return None
