"""When a run has to be over: told by a person, or by the Slurm job that it runs in."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime

_UNITS_S = {"h": 3600, "min": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)min)?(?:(\d+)s)?")
# Left for the manifest, and for the drivers of other parts that end at the same time.
SLURM_MARGIN_S = 60


def parse_deadline(text: str | None, environment: Mapping[str, str]) -> float | None:
    """Seconds of the epoch; without a text the end of the Slurm job, if it runs in one."""
    if text is None:
        end = environment.get("SLURM_JOB_END_TIME", "")
        return int(end) - SLURM_MARGIN_S if end.isdecimal() else None
    if text == "none":
        return None
    lasts = _DURATION.fullmatch(text)
    if text and lasts:
        parts = zip(lasts.groups(), _UNITS_S.values(), strict=True)
        return time.time() + sum(int(count or 0) * unit_s for count, unit_s in parts)
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ValueError(
            f"--deadline {text}: should be a time such as 2026-11-30T06:00, "
            "a duration such as 3h30min, or none"
        ) from None
    if moment < time.time():
        raise ValueError(f"--deadline {text}: is over already")
    return moment
