"""What one run of `relume generate` did, and how that is told."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console, counted, duration, size

if TYPE_CHECKING:
    from schemas.lease import ShardDone
    from workflows.filling import Filling


@dataclass(frozen=True, slots=True)
class Made:
    """What one run did: its phases, the dataset's own last, and what is still missing of it."""

    folder: Path
    phases: list[Filling]
    shards: list[str]
    missing: list[str]
    failed: int


def what_is_made(
    folder: Path,
    phases: list[Filling],
    done: Mapping[str, ShardDone],
    only: Collection[str] | None,
) -> Made:
    """What there is now of a dataset, or of some of its shards."""
    wanted = [shard for shard in phases[-1].shards if only is None or shard in only]
    return Made(
        folder,
        phases,
        shards=wanted,
        missing=[shard for shard in wanted if shard not in done],
        failed=sum(done[shard].failed for shard in wanted if shard in done),
    )


def tell_made(console: Console, outcome: Made, part: str, seconds: float) -> None:
    """Say what there is now, and what to do about what is not."""
    filling, missing, failed = outcome.phases[-1], outcome.missing, outcome.failed
    made, total = filling.made, len(outcome.shards)
    given_up = filling.given_up().keys() & set(missing)
    whole = "" if part == "1/1" else f", part {part}"
    console.heading(f"{outcome.folder}{whole}: {total - len(missing):,} of {total:,} shards exist")
    if made["shards"]:
        rate = made["samples"] / seconds
        console.facts(
            {
                "made now": f"{counted(made['samples'], 'sample')} "
                f"in {counted(made['shards'], 'shard')}, "
                f"{size(made['bytes'])}",
                "time": f"{duration(seconds)}, {rate:,.1f} samples a second",
            }
        )
    else:
        console.facts({"made now": "nothing"})
    if missing:
        console.warn(f"{counted(len(missing), 'shard')} missing, for example {missing[0]}")
    place = shlex.quote(str(outcome.folder))
    if given_up:
        console.warn(
            f"{counted(len(given_up), 'shard')} given up: once the cause is mended, "
            "the same command with --retry-failed"
        )
    if failed:
        console.warn(f"{counted(failed, 'sample')} failed: relume inspect {place} --failed")
    console.note(f"next: relume inspect {place} --verify")
