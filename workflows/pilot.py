"""A pilot: a small dataset made first, and what the whole will cost at its rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console, counted, duration, significant, size

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.run import Run
    from workflows.filling import Filling


def plan_pilot(dataset: Path, out: Path, run: Run, plan: pa.Table, count: int) -> None:
    """Plan a pilot of a dataset in a folder of its own."""
    from schemas.run import FileIdentity
    from shards import layout
    from shards.encoding import parquet_bytes, sha256
    from shards.photo_files import publish_photos
    from shards.pilot import pilot_plan
    from shards.run import publish_run

    small = pilot_plan(plan, count, run.config.dataset.shard_size)
    data = parquet_bytes(small)
    identity = FileIdentity(sha256=sha256(data), rows=small.num_rows)
    publish_run(out, replace(run, plan=identity, part_of=run.plan), data)
    if run.photos is not None:
        publish_photos(out, (dataset / layout.PHOTOS).read_bytes())


def tell_cost_of_whole(console: Console, phases: Sequence[Filling], whole: int) -> None:
    """What the whole plan will take at the rate of the pilot, in all of its phases."""
    if not all(phase.made["samples"] for phase in phases):
        console.note(
            "nothing was made now, or nothing in one of two phases, so the cost of the whole is "
            "not known; choose a new folder for --out"
        )
        return
    worker_s = sum(phase.worker_s / phase.made["samples"] for phase in phases)
    num_bytes = sum(phase.made["bytes"] / phase.made["samples"] for phase in phases)
    workers = min(phase.crew.most for phase in phases)
    console.heading(f"the whole plan of {whole:,} samples, at this rate")
    console.facts(
        {
            "work": f"{significant(worker_s * whole / 3600)} worker-hours, "
            f"{significant(worker_s)} s a sample, models loaded",
            "time": f"{duration(worker_s * whole / workers)} with "
            f"{counted(workers, 'worker')}, as many as now",
            "disk": f"about {size(num_bytes * whole)}",
        }
    )
