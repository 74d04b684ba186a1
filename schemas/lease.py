"""The contract between the engine that leases work out and the tasks that do it.

What crosses a process boundary is a worker class plus its config and a lease; results carry
metadata only, never pixels.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from schemas.sample import PlannedSample


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One shard to make: the unit of leasing, of publishing and of recovery."""

    shard: str
    attempt: int
    samples: tuple[PlannedSample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """Length and checksum of one published file."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardDone:
    """What `done.json` holds. Linked last: only this makes the shard exist.

    `made_by` is the fingerprint of what the folder's shards are made by (generator.json of a
    dataset, audit.json of an audit): the settings, the input, the models and the numerics, so that
    no shard of another making is ever taken for one of this folder. A shard of rows alone has no
    tar.
    """

    shard: str
    made_by: str
    planned: int
    ok: int
    failed: int
    tar: FileFacts | None
    parquet: FileFacts

    @property
    def num_bytes(self) -> int:
        """Length of its files."""
        return self.parquet.bytes + self.tar_bytes

    @property
    def tar_bytes(self) -> int:
        """Length of its pictures' file."""
        return self.tar.bytes if self.tar else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedShard:
    """A worker's result: a whole shard in the staging folder, for the owner to link into place.

    `told` are further facts for the event of its publishing, such as how long a part of it took.
    """

    done: ShardDone
    attempt: int
    folder: str
    seconds: float
    failures: dict[str, int]
    told: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFailed:
    """An attempt at a lease that raised; the last one when it is given up."""

    shard: str
    attempt: int
    error: str
    traceback: str
    given_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLost:
    """A worker's process that ended by itself, or whose node is gone."""

    cause: str
    node_lost: bool
    was_ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady:
    """A worker that has loaded what it needs: on which host, and on what stack.

    The stack is what may differ between two runs and change the last digits: the processor or GPU,
    the versions of libraries, Relume's own code.
    """

    host: str
    stack: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfTime:
    """The deadline is so near that no further lease would end before it."""

    leases_left: int
    longest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """Nothing came back for a moment: how many work, how many wait for room, and what lacks."""

    workers: int
    pending: int
    lacking: str | None


# What an engine tells beside results.
Outcome: TypeAlias = LeaseFailed | WorkerLost | WorkerReady | OutOfTime | Waited

# Attempts at a lease before it is given up.
STRIKES = 3


def error_line(error: BaseException) -> str:
    """An exception in one line, with its type: some messages are empty, or only a key."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


Result = TypeVar("Result", covariant=True)


Turn: TypeAlias = AbstractContextManager[object]


class Worker(Protocol[Result]):
    """`setup` once per worker, where models are loaded; then `run` for every lease.

    While one lease is being finished another may begin: what only one of them may do at a time, on
    the GPU or with the models, is done within its turn; what comes after (encoding, writing) is
    not. `config` is all that it is told.
    """

    def __init__(self, config: Any) -> None: ...

    def setup(self) -> dict[str, str]:
        """Load what every lease needs; the stack that it computes on."""
        ...

    def run(self, lease: Lease, turn: Turn) -> Result:
        """Do one lease and stage what it made."""
        ...
