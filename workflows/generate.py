"""`relume generate`: makes a planned dataset, or continues it where it stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console, duration, size

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.lease import Lease, LeaseFailed, StagedShard, WorkerLost
    from schemas.run import GeneratorRecord, Run
    from shards.owner import Owner
    from tasks.generate_shard import GenerateConfig, GenerateShard
    from workflows.filling import Filling

    RunLeases = Callable[[Iterator[Lease], int], Iterator[StagedShard | LeaseFailed | WorkerLost]]


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Make a planned dataset, or continue it: what is published stays as it is."""

    dataset: tyro.conf.Positional[Path]
    """folder that relume plan made"""
    part: str = "1/1"
    """only part i of n of the shards, as i/n, for the jobs of an array"""
    retry_failed: Annotated[bool, tyro.conf.arg(help="take up shards that were given up")] = False
    address: str | None = None
    """Ray cluster to run on; without it that of RAY_ADDRESS, else one of this process alone"""
    workers: int | None = None
    """at most so many workers; without it as many as the cluster has room for"""
    lease_timeout_s: float = 3600.0
    """a shard that takes longer than this has failed"""
    here: Annotated[bool, tyro.conf.arg(help="in this process, without Ray")] = False


def main(argv: list[str]) -> int:
    """Generate a dataset."""
    arguments = parse(Arguments, "generate", argv)

    from schemas.part import parse_part
    from shards.owner import Owner
    from shards.run import read_planned

    part = parse_part(arguments.part)
    _check_place(arguments.dataset)
    run, plan = read_planned(arguments.dataset)
    with Owner(arguments.dataset, part) as owner:
        return _generate(arguments, run, plan, owner)


def _check_place(dataset: Path) -> None:
    """A submitted job runs in a temporary copy of the tree, and a dataset in there is lost."""
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and not dataset.is_absolute():
        raise ValueError(f"{dataset}: under a Ray job the dataset's path must be absolute")


def _generate(arguments: Arguments, run: Run, plan: pa.Table, owner: Owner) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    from shards.manifest import rebuild
    from shards.plan import shard_names
    from shards.truth import publish_truth
    from tasks.generate_shard import GenerateConfig, GenerateShard
    from tasks.tell_truth import truth_table
    from workflows.filling import Filling

    dataset, console = arguments.dataset, Console()
    filling = Filling(dataset, shard_names(plan), owner, console)
    config = GenerateConfig(dataset=str(dataset.absolute()), config=run.config)
    worker = GenerateShard(config)
    filling.take_charge()
    _agree(dataset, _record(run, worker), filling, console)
    publish_truth(dataset, truth_table(run.config, plan))
    outstanding = filling.outstanding(retry_failed=arguments.retry_failed)
    num_samples = pc.sum(pc.is_in(plan["shard"], pa.array(outstanding, pa.string()))).as_py() or 0
    if outstanding:
        with _engine(arguments, worker, config, console) as run_leases:
            leases = _leases(plan, outstanding)
            filling.publish(run_leases(leases, len(outstanding)), num_samples)
    now = rebuild(dataset, run, shard_names(plan))
    seconds = filling.finish()
    missing = [shard for shard in filling.shards if shard not in now.done]
    failed = sum(now.done[shard].failed for shard in filling.shards if shard in now.done)
    _tell(console, arguments, filling, seconds, missing, failed)
    return INCOMPLETE if missing or failed else DONE


@contextmanager
def _engine(
    arguments: Arguments, worker: GenerateShard, config: GenerateConfig, console: Console
) -> Iterator[RunLeases]:
    """What does the leases: the actors of a Ray cluster, or this process."""
    if arguments.here:
        from workflows import in_process

        yield lambda leases, _: in_process.run(leases, worker)
        return
    from cluster.connect import connected
    from cluster.engine import Engine, Seats

    seats = Seats(most=arguments.workers, lease_timeout_s=arguments.lease_timeout_s)
    with connected(arguments.address) as where:
        console.note(f"on Ray: {where}")
        yield Engine(type(worker), config, seats).run


def _record(run: Run, worker: GenerateShard) -> GeneratorRecord:
    from schemas.run import GeneratorRecord
    from shards.provenance import code_version, library_versions, processor

    generator = worker.generator
    return GeneratorRecord(
        plan_sha256=run.plan.sha256,
        models={stage: model for stage, model in generator.identity().items()},
        numerics={**generator.numerics(), "batch_size": run.config.dataset.batch_size},
        code=code_version(),
        libraries=library_versions(),
        processor=processor(),
    )


def _agree(dataset: Path, record: GeneratorRecord, filling: Filling, console: Console) -> None:
    from shards.run import agree_on_generator

    differences = agree_on_generator(dataset, record)
    if differences:
        console.warn(
            f"begun elsewhere, so bytes may differ in the last digits: {'; '.join(differences)}"
        )
        filling.note("stack-differs", differences="; ".join(differences))


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
    whole = "" if arguments.part == "1/1" else f", part {arguments.part}"
    console.heading(
        f"{arguments.dataset}{whole}: {total - len(missing):,} of {total:,} shards exist"
    )
    if made["shards"]:
        rate = made["samples"] / seconds
        console.facts(
            {
                "made now": f"{made['samples']:,} samples in {made['shards']:,} shards, "
                f"{size(made['bytes'])}",
                "time": f"{duration(seconds)}, {rate:,.1f} samples a second",
            }
        )
    else:
        console.facts({"made now": "nothing"})
    if missing:
        console.warn(f"{len(missing):,} shards are missing, for example {missing[0]}")
    if failed:
        console.warn(f"{failed:,} samples failed; relume inspect {arguments.dataset} --failed")
    console.note(f"next: relume inspect {arguments.dataset} --verify")


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
