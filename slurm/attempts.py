"""What became of each attempt of a job, and whether another one is worth it.

An attempt is one incarnation of a Slurm job, from its start to its requeue or its end. Its record
lies in RUN/slurm/attempts and is written by one process at a time: the batch script when it
begins, the first rank while it works, the batch script when all ranks are gone. Asks nothing of
Slurm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from schemas.settings import resolve, settings
from schemas.slurm import SlurmSettings
from shards import filesystem
from shards.encoding import json_bytes

FOLDER = "slurm"
# Without a word: the node died, or something killed the batch script itself.
How = Literal[
    "lost", "finished", "converged", "preempted", "time limit", "requeued", "cancelled", "failed",
    "given up",
]  # fmt: skip
DONE: tuple[How, ...] = ("finished", "converged")
# An attempt that was sent away could not help it; these could.
_COUNTED: tuple[How, ...] = ("lost", "time limit", "failed")


@settings
class Attempt:
    """One incarnation of a job."""

    job: str
    """id of the job, as 12 or 12_3"""
    restarts: int
    """how often Slurm had restarted it by then"""
    begun: str
    """when, in UTC"""
    nodes: str
    """where, as Slurm writes it"""
    from_step: int
    """steps that earlier attempts of this run had saved"""
    saved_step: int
    """steps that are saved now, as far as it told"""
    ended: How
    """how it ended; lost until it says so"""
    why: str
    """more about its end"""

    @property
    def progressed(self) -> bool:
        """Whether it saved anything new."""
        return self.saved_step > self.from_step

    @property
    def name(self) -> str:
        """The job and its incarnation."""
        return f"{self.job}.{self.restarts}"


class Attempts:
    """All attempts of a run, in the order they began."""

    def __init__(self, run: Path) -> None:
        self._run, self._folder = run, run / FOLDER / "attempts"

    def all(self) -> list[Attempt]:
        """Every attempt so far."""
        if not self._folder.is_dir():
            return []
        found = [_read(path) for path in self._folder.glob("*.json")]
        return sorted(found, key=lambda one: (one.begun, one.restarts))

    def of(self, job: str) -> list[Attempt]:
        """Every attempt of one job."""
        return [one for one in self.all() if one.job == job]

    def write(self, attempt: Attempt) -> None:
        """Put an attempt's record in the place of what it said before."""
        filesystem.make_folder(self._folder)
        plain = {name: getattr(attempt, name) for name in Attempt.__slots__}  # type: ignore[attr-defined]
        filesystem.replace_file(
            self._run / FOLDER,
            self._folder / f"{attempt.name}.json",
            filesystem.plain(json_bytes(plain)),
        )

    def begin(self, job: str, restarts: int, nodes: str, now: str) -> Attempt:
        """The record of an attempt that begins."""
        saved = max((one.saved_step for one in self.all()), default=0)
        attempt = Attempt(
            job=job,
            restarts=restarts,
            begun=now,
            nodes=nodes,
            from_step=saved,
            saved_step=saved,
            ended="lost",
            why="",
        )
        self.write(attempt)
        return attempt

    def find(self, job: str, restarts: int) -> Attempt:
        """The record of an attempt that has begun."""
        return _read(self._folder / f"{job}.{restarts}.json")

    def end(self, attempt: Attempt, how: How, why: str = "") -> Attempt:
        """Write how an attempt ended; the record."""
        ended: Attempt = replace(attempt, ended=how, why=why)
        self.write(ended)
        return ended


def why_not_again(attempts: Sequence[Attempt], limits: SlurmSettings) -> str | None:
    """Why a job with these attempts is given up, or None."""
    counted = list(attempts)
    for number, one in enumerate(attempts):
        if one.ended == "given up":  # somebody requeued it all the same, and has mended something
            counted = list(attempts[number + 1 :])
    if len(counted) >= limits.max_attempts:
        return (
            f"{len(counted)} attempts, and slurm.max_attempts = {limits.max_attempts}; "
            "the same relume command submits it again"
        )
    failed = 0
    for one in reversed(counted):
        if one.progressed:
            break
        failed += one.ended in _COUNTED
    if failed < limits.max_failures:
        return None
    last = [one for one in counted if one.ended in _COUNTED][-1]
    counted_as = "1 attempt" if failed == 1 else f"{failed} attempts in a row"
    return f"{counted_as} saved nothing new; the last one: {told(last)}"


def told(attempt: Attempt) -> str:
    """How an attempt ended, and why where that is known."""
    ended = {
        "lost": f"lost without a word on {attempt.nodes}: a node failed, or its time was over",
        "time limit": "out of time before a step was saved; raise slurm.hours"
        if not attempt.progressed
        else "time limit",
    }.get(attempt.ended, attempt.ended)
    return f"{ended}: {attempt.why}" if attempt.why else ended


def _read(path: Path) -> Attempt:
    import json

    try:
        plain: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: is damaged: {error}; move it away") from None
    return resolve(Attempt, plain, str(path))
