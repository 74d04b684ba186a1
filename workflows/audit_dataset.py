"""One dataset in `relume audit`: agrees on what the audit is, looks, and gathers the rows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console, counted, duration
from workflows.deadline import parse_deadline
from workflows.workers import Work, WorkerArguments, fill, shard_leases

if TYPE_CHECKING:
    from schemas.audit import AuditSettings
    from schemas.audit_record import AuditRecord
    from schemas.lease import ShardDone
    from workflows.filling import Filling


def audit_one(
    arguments: WorkerArguments,
    record: AuditRecord,
    dataset: Path,
    root: Path,
    console: Console,
    *,
    look: bool,
) -> bool:
    """Audit what is outstanding of one dataset; whether all of it is there and without errors."""
    from schemas.part import parse_part
    from shards.owner import Owner
    from shards.publish import published
    from workflows.filling import Filling

    shards = planned_shards(dataset)
    with Owner(root, parse_part(arguments.part)) as owner:
        filling = Filling(root, shards, owner, console)
        with filling.noting_its_end():
            filling.take_charge()
            outstanding = filling.outstanding(
                record, retry_failed=arguments.retry_failed, mend="choose another --out"
            )
            there = list(published(dataset, outstanding))
            if there and look:
                deadline = parse_deadline(arguments.deadline, os.environ)
                fill(filling, arguments, deadline, _work(dataset, root, record, there))
            done = gather_shards(root, shards)
            seconds = filling.finish()
    return _tell(console, dataset, filling, done, seconds)


def planned_shards(dataset: Path) -> list[str]:
    """The shards of a dataset's plan."""
    from shards.plan import shard_names
    from shards.run import read_planned

    _, plan = read_planned(dataset)
    return shard_names(plan)


def gather_shards(root: Path, shards: list[str]) -> dict[str, ShardDone]:
    """Put the rows of the shards that are audited into one file; returns which they are."""
    from schemas.audit import AUDIT_SCHEMA
    from schemas.endings import ends_the_run
    from shards.gathering import gather_rows

    with ends_the_run():
        return gather_rows(root, shards, AUDIT_SCHEMA)


def _tell(
    console: Console,
    dataset: Path,
    filling: Filling,
    done: Mapping[str, ShardDone],
    seconds: float,
) -> bool:
    """Say what is there of a part; whether all of it is, without errors."""
    mine = [shard for shard in filling.shards if shard in done]
    failed = sum(done[shard].failed for shard in mine)
    console.heading(f"{dataset}: {len(mine):,} of {len(filling.shards):,} shards audited")
    if filling.made["shards"]:
        rate = filling.made["samples"] / seconds
        looked = counted(filling.made["samples"], "picture")
        console.facts({"looked at": f"{looked}, {duration(seconds)}, {rate:,.1f} a second"})
    if len(mine) < len(filling.shards):
        console.warn("not all of the dataset is audited; the same command continues")
    if filling.given_up().keys() - set(mine):
        console.warn("some was given up: once that is mended, the same command with --retry-failed")
    if failed:
        console.warn(f"{counted(failed, 'picture')} could not be analysed: status error says why")
    return len(mine) == len(filling.shards) and not failed


def agree(settings: AuditSettings, dataset: Path, root: Path, console: Console) -> AuditRecord:
    """Fix what the audit is made by, or agree with what is fixed."""
    from schemas.audit_record import AuditRecord
    from shards import filesystem
    from shards.provenance import code_version, library_versions, processor
    from shards.record_file import agree_on_record
    from shards.run import read_generator, read_run
    from tasks.audit.lookers import audit_weights, build_looker

    generator, run = read_generator(dataset), read_run(dataset)
    if generator is None:
        raise ValueError(f"{dataset}: has no pictures yet; make some with relume generate")
    record = AuditRecord(
        name=run.config.name,
        dataset=generator.fingerprint(),
        stages=run.config.dataset.stages,
        settings=settings,
        weights=audit_weights(settings, build_looker(settings, dataset)),
        procedural=run.config.generator.kind == "procedural",
        code=code_version(),
        libraries=library_versions(),
        processor=processor(),
    )
    filesystem.make_folder(root)
    told = "was begun of another dataset or with other settings; choose another --out"
    for difference in agree_on_record(root / "audit.json", record, told):
        console.warn(f"begun elsewhere, so the last digits may differ: {difference}")
    return record


def _work(dataset: Path, root: Path, record: AuditRecord, outstanding: list[str]) -> Work:
    from shards.publish import published
    from tasks.audit_shard import AuditConfig, AuditShard

    samples = sum(one.ok for one in published(dataset, outstanding).values())
    return Work(
        worker=AuditShard,
        config=AuditConfig(str(root.absolute()), str(dataset.absolute()), record),
        leases=shard_leases(outstanding),
        num_leases=len(outstanding),
        total=samples * len(record.stages),
        what="looking",
        unit="pictures",
    )
