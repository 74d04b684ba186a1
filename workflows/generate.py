"""`relume generate`: makes a planned dataset, or continues it where it stopped."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console, counted, duration, size

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
    mend: Annotated[bool, tyro.conf.arg(help="verify first; set damage aside, make it anew")] = (
        False
    )
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
    from tasks.generate_shard import GenerateConfig, GenerateShard
    from workflows.filling import Filling

    dataset, console = arguments.dataset, Console()
    filling = Filling(dataset, shard_names(plan), owner, console)
    filling.take_charge()
    if arguments.mend:
        filling.mend()
    record = _agree(arguments, run, plan, filling, console)
    config = GenerateConfig(str(dataset.absolute()), run.config, record.fingerprint())
    outstanding = filling.outstanding(retry_failed=arguments.retry_failed)
    num_samples = pc.sum(pc.is_in(plan["shard"], pa.array(outstanding, pa.string()))).as_py() or 0
    if outstanding:
        with _engine(arguments, GenerateShard(config), config, console) as run_leases:
            outcomes = run_leases(_leases(plan, outstanding), len(outstanding))
            filling.publish(outcomes, num_samples)
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


def _agree(
    arguments: Arguments, run: Run, plan: pa.Table, filling: Filling, console: Console
) -> GeneratorRecord:
    """What makes the pictures, fixed by the first run or the same as then; and its truth."""
    from shards import layout
    from shards.run import agree_on_generator, read_generator
    from shards.truth import publish_truth, what_is_wrong_with_truth
    from tasks.tell_truth import truth_table

    dataset = arguments.dataset
    earlier = read_generator(dataset)
    differences = agree_on_generator(dataset, _record(dataset, run, plan, earlier))
    if differences:
        console.warn(
            f"begun elsewhere, so bytes may differ in the last digits: {'; '.join(differences)}"
        )
        filling.note("stack-differs", differences="; ".join(differences))
    agreed = read_generator(dataset)
    assert agreed is not None
    wrong = what_is_wrong_with_truth(dataset, agreed.truth)
    if arguments.mend and wrong and (dataset / layout.TRUTH).exists():
        filling.set_aside(layout.TRUTH, wrong)
    publish_truth(dataset, agreed.truth, lambda: truth_table(run.config, plan))
    return agreed


def _record(
    dataset: Path, run: Run, plan: pa.Table, earlier: GeneratorRecord | None
) -> GeneratorRecord:
    from models.generators.build import build_generator
    from schemas.run import GeneratorRecord
    from shards.provenance import code_version, library_versions, processor
    from shards.run import config_sha256
    from shards.truth import truth_identity
    from tasks.tell_truth import truth_table

    generator = build_generator(run.config)
    return GeneratorRecord(
        config_sha256=config_sha256(dataset),
        plan_sha256=run.plan.sha256,
        # Drawn once: a million people take a while.
        truth=earlier.truth if earlier else truth_identity(truth_table(run.config, plan)),
        models={stage: model for stage, model in generator.identity().items()},
        numerics={**generator.numerics(), "batch_size": run.config.dataset.batch_size},
        code=code_version(),
        libraries=library_versions(),
        processor=processor(),
    )


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
    given_up = [shard for shard in missing if shard in filling.given_up()]
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
