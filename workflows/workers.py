"""Where leases are worked out: on the actors of a Ray cluster, or in this process alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from workflows.phases import no_gpu

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.lease import Lease, Outcome, StagedShard, Worker
    from workflows.filling import Filling

    RunLeases = Callable[[Iterator[Lease], int], Generator[StagedShard | Outcome]]


@dataclass(frozen=True, kw_only=True)
class WorkerArguments:
    """What every verb takes that works shards out."""

    part: str = "1/1"
    """only part i of n of the shards, as i/n, for the jobs of an array"""
    retry_failed: Annotated[bool, tyro.conf.arg(help="take up shards that were given up")] = False
    address: str | None = None
    """Ray cluster to run on; without it that of RAY_ADDRESS, else one of this process alone"""
    workers: int | None = None
    """at most so many workers; without it as many as the cluster has room for"""
    lease_timeout_s: float = 3600.0
    """a shard that takes longer than this has failed"""
    deadline: str | None = None
    """start no shard that would not end by then: 2026-11-30T06:00, 3h30min or none; without it the
    end of the Slurm job, where there is one"""
    here: Annotated[bool, tyro.conf.arg(help="in this process, without Ray")] = False

    def check(self, *places: Path | None) -> None:
        """What these options say by themselves, and about each other; and about folders."""
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"--workers {self.workers}: should be at least 1")
        if self.here and (self.address or self.workers):
            raise ValueError("--here: is without Ray; leave out --address and --workers")
        if not 0 < self.lease_timeout_s < float("inf"):
            raise ValueError(f"--lease-timeout-s {self.lease_timeout_s}: should be more than 0")
        for place in places:
            # A submitted job runs in a temporary copy of the tree, and what is in there is lost.
            if place and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and not place.is_absolute():
                raise ValueError(f"{place}: under a Ray job the dataset's path must be absolute")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Leases to work out, by which worker, and how that is told."""

    worker: type[Worker[StagedShard]]
    config: Any
    leases: Iterator[Lease]
    num_leases: int
    # What the bar counts, in which unit.
    total: int
    needs_gpu: bool = False
    what: str = "making"
    unit: str = "samples"


def fill(filling: Filling, arguments: WorkerArguments, deadline: float | None, work: Work) -> None:
    """Have leases worked out, and publish what comes of them."""
    with (
        _at_work(filling, arguments, deadline, work) as (run_leases, busy_share),
        # Workers end before the connection to them does.
        closing(run_leases(work.leases, work.num_leases)) as outcomes,
    ):
        filling.publish(outcomes, work.total, busy_share, what=work.what, unit=work.unit)


@contextmanager
def _at_work(
    filling: Filling, arguments: WorkerArguments, deadline: float | None, work: Work
) -> Iterator[tuple[RunLeases, Callable[[], float] | None]]:
    """What does the leases, and how busy it is; the connection to it ends with the block."""
    if arguments.here:
        from workflows import in_process

        worker = work.worker(work.config)
        yield lambda leases, count: in_process.run(leases, count, worker, deadline), None
        return
    from cluster.actor import Sign
    from cluster.connect import LOCAL, connected
    from cluster.engine import Engine
    from cluster.seats import Seats

    seats = Seats(
        num_gpus=1.0 if work.needs_gpu else 0.0,
        most=arguments.workers,
        lease_timeout_s=arguments.lease_timeout_s,
        sign=Sign(str(filling.sign.absolute())),
    )
    with connected(arguments.address) as where:
        filling.console.note(f"on Ray: {where}")
        if where == LOCAL and seats.lacking():
            raise no_gpu(where)  # nobody will join it later
        engine = Engine(work.worker, work.config, seats, deadline=deadline)
        yield engine.run, lambda: engine.usage.busy_share


def planned_leases(plan: pa.Table, shards: list[str]) -> Iterator[Lease]:
    """A lease for each of these shards, with its planned samples."""
    from schemas.lease import Lease
    from shards.plan import planned_samples

    for shard, samples in planned_samples(plan, set(shards)):
        yield Lease(shard=shard, attempt=1, samples=samples)


def shard_leases(shards: Sequence[str]) -> Iterator[Lease]:
    """A lease for each of these shards, whose samples the worker reads from its dataset."""
    from schemas.lease import Lease

    return (Lease(shard=shard, attempt=1, samples=()) for shard in shards)


def refuse_inside(dataset: Path, out: Path) -> None:
    """ValueError where what is made would lie in what it is made of, or around it."""
    one, other = out.resolve(), dataset.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise ValueError(f"--out {out}: lies in {dataset}, or around it; choose a place beside it")


def whole_path(model: str) -> str:
    """A folder of a model by its whole path, as work starts elsewhere; a hub's name as it is."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model
