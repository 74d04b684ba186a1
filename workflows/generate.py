"""`relume generate`: makes a planned dataset, or continues it where it stopped."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from workflows.agreement import agree
from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console, counted, duration, size
from workflows.deadline import parse_deadline
from workflows.phases import Placement, is_two_phase, plan_sources, sources_folder
from workflows.pilot import plan_pilot, tell_cost_of_whole

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.lease import Lease, Outcome, StagedShard
    from schemas.part import Part
    from schemas.run import Run
    from shards.owner import Owner
    from tasks.generate_shard import GenerateConfig
    from workflows.filling import Filling

    RunLeases = Callable[[Iterator[Lease], int], Generator[StagedShard | Outcome]]


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Make a planned dataset, or continue it: what is published stays as it is."""

    dataset: tyro.conf.Positional[Path]
    """folder that relume plan made"""
    part: str = "1/1"
    """only part i of n of the shards, as i/n, for the jobs of an array"""
    retry_failed: Annotated[bool, tyro.conf.arg(help="take up shards that were given up")] = False
    mend: Annotated[bool, tyro.conf.arg(help="verify first; set damage aside, make it anew")] = (
        False
    )
    address: str | None = None
    """Ray cluster to run on; without it that of RAY_ADDRESS, else one of this process alone"""
    workers: int | None = None
    """at most so many workers; without it as many as the cluster has room for"""
    lease_timeout_s: float = 3600.0
    """a shard that takes longer than this has failed"""
    deadline: str | None = None
    """start no shard that would not end by then: 2026-11-30T06:00, 3h30min or none; without it the
    end of the Slurm job, where there is one"""
    limit: int | None = None
    """make a pilot of so many samples in the folder --out first, and say what the whole costs"""
    out: Path | None = None
    """folder of the pilot"""
    placement: Placement = "auto"
    """fused makes source and target in one go, two-phase all sources first; auto asks the GPUs"""
    sources: Path | None = None
    """folder for the sources of two phases; without it DATASET-sources"""
    here: Annotated[bool, tyro.conf.arg(help="in this process, without Ray")] = False


def main(argv: list[str]) -> int:
    """Generate a dataset."""
    arguments = parse(Arguments, "generate", argv)

    from schemas.part import parse_part
    from shards.owner import Owner
    from shards.run import read_planned

    part, deadline = (
        parse_part(arguments.part),
        parse_deadline(arguments.deadline, os.environ),
    )
    _check(arguments)
    run, plan = read_planned(arguments.dataset)
    whole = plan.num_rows
    if arguments.limit is not None and arguments.out is not None:
        plan_pilot(arguments.out, run, plan, arguments.limit)
        arguments = replace(arguments, dataset=arguments.out)
        run, plan = read_planned(arguments.dataset)
    sources = None
    if _has_work(arguments.dataset, plan, part) and is_two_phase(
        arguments.placement, run.config, arguments.address, Console()
    ):
        sources = arguments.sources or sources_folder(arguments.dataset)
        plan_sources(sources, run, plan)
        first = replace(arguments, dataset=sources, limit=None)
        with Owner(sources, part) as owner:
            _generate(first, deadline, *read_planned(sources), owner)
    with Owner(arguments.dataset, part) as owner:
        return _generate(arguments, deadline, run, plan, owner, sources=sources, whole=whole)


def _has_work(dataset: Path, plan: pa.Table, part: Part) -> bool:
    """Whether shards of this part are missing, as far as names of files tell."""
    from shards import layout
    from shards.plan import shard_names

    mine = (shard for n, shard in enumerate(shard_names(plan)) if part.has(n))
    return not all(layout.done_path(dataset, shard).exists() for shard in mine)


def _check(arguments: Arguments) -> None:
    """What options say by themselves, and about each other."""
    if arguments.workers is not None and arguments.workers < 1:
        raise ValueError(f"--workers {arguments.workers}: should be at least 1")
    if arguments.here and (arguments.address or arguments.workers):
        raise ValueError("--here: is without Ray; leave out --address and --workers")
    if not 0 < arguments.lease_timeout_s < float("inf"):
        raise ValueError(f"--lease-timeout-s {arguments.lease_timeout_s}: should be more than 0")
    if (arguments.limit is None) != (arguments.out is None):
        raise ValueError("--limit and --out: a pilot needs both, how many samples and which folder")
    if arguments.out and arguments.out.resolve().is_relative_to(arguments.dataset.resolve()):
        raise ValueError(f"--out {arguments.out}: lies in the dataset; choose a place outside")
    for place in (arguments.dataset, arguments.out, arguments.sources):
        # A submitted job runs in a temporary copy of the tree, and a dataset in there is lost.
        if place and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and not place.is_absolute():
            raise ValueError(f"{place}: under a Ray job the dataset's path must be absolute")


def _generate(
    arguments: Arguments,
    deadline: float | None,
    run: Run,
    plan: pa.Table,
    owner: Owner,
    *,
    sources: Path | None = None,
    whole: int = 0,
) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    from schemas.endings import ends_the_run
    from shards.manifest import rebuild
    from shards.plan import shard_names
    from shards.publish import published
    from tasks.generate_shard import GenerateConfig
    from workflows.filling import Filling

    dataset, console = arguments.dataset, Console()
    filling = Filling(dataset, shard_names(plan), owner, console)
    filling.take_charge()
    record = agree(dataset, run, plan, filling, console, mend=arguments.mend)
    if arguments.mend:
        filling.mend(record.fingerprint())
    there = None if sources is None else str(sources.absolute())
    config = GenerateConfig(str(dataset.absolute()), run.config, record, there)
    outstanding = filling.outstanding(record, retry_failed=arguments.retry_failed)
    if sources is not None:
        outstanding = list(published(sources, outstanding))
    num_samples = pc.sum(pc.is_in(plan["shard"], pa.array(outstanding, pa.string()))).as_py() or 0
    if outstanding:
        leases = _leases(plan, outstanding)
        with (
            _engine(arguments, deadline, config, owner.sign, console) as (run_leases, busy_share),
            # Workers end before the connection to them does.
            closing(run_leases(leases, len(outstanding))) as outcomes,
        ):
            filling.publish(outcomes, num_samples, busy_share)
    with ends_the_run():
        now = rebuild(dataset, run, shard_names(plan))
    seconds = filling.finish()
    missing = [shard for shard in filling.shards if shard not in now.done]
    failed = sum(now.done[shard].failed for shard in filling.shards if shard in now.done)
    _tell(console, arguments, filling, seconds, missing, failed)
    if arguments.limit is not None:
        tell_cost_of_whole(console, filling, whole)
    return INCOMPLETE if missing or failed or filling.unmended else DONE


@contextmanager
def _engine(
    arguments: Arguments,
    deadline: float | None,
    config: GenerateConfig,
    sign: Path,
    console: Console,
) -> Iterator[tuple[RunLeases, Callable[[], float] | None]]:
    """What does the leases: the actors of a Ray cluster, or this process; and how busy they are."""
    from tasks.generate_shard import GenerateShard

    if arguments.here:
        from workflows import in_process

        worker = GenerateShard(config)
        yield lambda leases, count: in_process.run(leases, count, worker, deadline), None
        return
    from cluster.actor import Sign
    from cluster.connect import connected
    from cluster.engine import Engine
    from cluster.seats import Seats

    seats = Seats(
        num_gpus=1.0 if config.record.numerics.get("device") == "cuda" else 0.0,
        most=arguments.workers,
        lease_timeout_s=arguments.lease_timeout_s,
        sign=Sign(str(sign.absolute())),
    )
    with connected(arguments.address) as where:
        console.note(f"on Ray: {where}")
        engine = Engine(GenerateShard, config, seats, deadline=deadline)
        yield engine.run, lambda: engine.usage.busy_share


def _leases(plan: pa.Table, shards: list[str]) -> Iterator[Lease]:
    from schemas.lease import Lease
    from shards.plan import samples_of, shard_rows

    wanted = set(shards)
    for shard, rows in shard_rows(plan):
        if shard in wanted:
            yield Lease(shard=shard, attempt=1, samples=samples_of(rows))


def _tell(
    console: Console,
    arguments: Arguments,
    filling: Filling,
    seconds: float,
    missing: list[str],
    failed: int,
) -> None:
    made, total = filling.made, len(filling.shards)
    given_up = filling.given_up().keys() & set(missing)
    whole = "" if arguments.part == "1/1" else f", part {arguments.part}"
    console.heading(
        f"{arguments.dataset}{whole}: {total - len(missing):,} of {total:,} shards exist"
    )
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
    place = shlex.quote(str(arguments.dataset))
    if given_up:
        console.warn(
            f"{counted(len(given_up), 'shard')} given up: once the cause is mended, "
            f"relume generate {place} --retry-failed"
        )
    if failed:
        console.warn(f"{counted(failed, 'sample')} failed: relume inspect {place} --failed")
    console.note(f"next: relume inspect {place} --verify")


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
