"""What a training run is made by, and what it tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from schemas.run import FileIdentity
from schemas.settings import as_plain, fingerprint, settings


@settings
class TrainingRecord:
    """run.json of a training run, fixed by its first start."""

    record: Literal["run"] = "run"
    """which record this is"""
    version: Literal[1] = 1
    """version of this record"""
    config: dict[str, Any]
    """the resolved settings of what is trained"""
    dataset: str
    """fingerprint of what the dataset was made by"""
    selection: FileIdentity | None
    """the samples that it was confined to"""
    inputs: dict[str, str] = field(default_factory=dict)
    """fingerprints of what else is read, by name"""
    processes: int
    """processes that train together"""
    code: str
    """hash of Relume's sources that began"""
    libraries: dict[str, str]
    """versions of what began"""

    def must_match(self) -> dict[str, Any]:
        """What a later start may not change: all but how it is told and kept."""
        plain = as_plain(self)
        plain["config"].pop("record", None)
        plain["config"].get("data", {}).pop("loader_workers", None)
        fixed = ("config", "dataset", "selection", "inputs", "processes")
        return {key: plain[key] for key in fixed}

    def fingerprint(self) -> str:
        """One number for what may not change."""
        return fingerprint(self.must_match())

    def may_differ(self) -> dict[str, str]:
        """What a later start may change, and has to say so."""
        return {"code": self.code, **self.libraries}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStarted:
    """Where the run begins or goes on."""

    epoch: int
    epochs: int
    steps_done: int
    steps: int
    samples: int
    parameters: int
    device: str
    outside: int = 0
    """samples of the selection that are not of train"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """A step is done."""

    steps_done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """Some steps are done; the losses are their means."""

    epoch: int
    steps_done: int
    images_seen: int
    losses: dict[str, float]
    images_per_s: float
    learning_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEnded:
    """An epoch is done and, where it was due, measured."""

    epoch: int
    steps_done: int
    measured: dict[str, float] = field(default_factory=dict)
    best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Another picture stood in for one that could not be trained on; told once in a run."""

    sample: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that a person should look at."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSaved:
    """The state is on the disk."""

    steps_done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingEnded:
    """The run is over, or was asked to stop and can be continued."""

    how: Literal["finished", "converged", "stopped"]
    epoch: int
    steps_done: int
    left_out: int = 0
    """how often another picture stood in for one that could not be trained on"""


TrainingEvent: TypeAlias = (
    TrainingStarted
    | Progressed
    | Stepped
    | EpochEnded
    | LeftOut
    | Alarm
    | StateSaved
    | TrainingEnded
)
