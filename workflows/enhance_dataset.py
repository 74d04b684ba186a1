"""`relume enhance` on a dataset: a dataset of enhanced pictures, in leases like every other."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console, counted
from workflows.deadline import parse_deadline
from workflows.made import Made, tell_made, what_is_made
from workflows.workers import Work, fill, planned_leases, refuse_inside

if TYPE_CHECKING:
    import pyarrow as pa

    from models.heads.head import Head
    from schemas.enhance import EnhanceSettings
    from schemas.run import GeneratorRecord, Run
    from workflows.enhance_arguments import Arguments


def enhance_dataset(
    arguments: Arguments, dataset: Path, out: Path, settings: EnhanceSettings, console: Console
) -> bool:
    """Enhance what is outstanding of a part; whether all of it is there, and nothing failed."""
    from schemas.endings import ends_the_run
    from schemas.part import parse_part
    from shards.manifest import rebuild
    from shards.owner import Owner
    from shards.plan import shard_names
    from shards.publish import published
    from shards.run import agree_on_generator, read_planned
    from tasks.enhance.open_head import open_head
    from workflows.filling import Filling

    refuse_inside(dataset, out)
    head = open_head(arguments.head)
    record = _agree(arguments, dataset, out, settings, head, console)
    run, plan = read_planned(out)
    shards = shard_names(plan)
    with Owner(out, parse_part(arguments.part)) as owner:
        filling = Filling(out, shards, owner, console)
        with filling.noting_its_end():
            filling.take_charge()
            for difference in agree_on_generator(out, record, mend=arguments.mend):
                console.warn(f"begun elsewhere, so the last digits may differ: {difference}")
            if arguments.mend:
                filling.mend(record.fingerprint())
            outstanding = filling.outstanding(
                record,
                retry_failed=arguments.retry_failed,
                mend="the same command with --mend sets it aside",
            )
            there = list(published(dataset, outstanding))
            begun = time.monotonic()
            if there:
                deadline = parse_deadline(arguments.deadline, os.environ)
                work = _work(arguments, dataset, out, run, record, settings, plan, there)
                fill(filling, arguments, deadline, work)
            with ends_the_run():
                done = rebuild(out, run, shards).done
            filling.finish()
    made = what_is_made(out, [filling], done, None)
    waiting = len(outstanding) - len(there)
    _tell(arguments, console, made, waiting, time.monotonic() - begun)
    return not (made.missing or made.failed or filling.unmended)


def _agree(
    arguments: Arguments,
    dataset: Path,
    out: Path,
    settings: EnhanceSettings,
    head: Head,
    console: Console,
) -> GeneratorRecord:
    """Fix which samples are enhanced, or agree with what is fixed; what makes them."""
    from shards.enhanced_plan import plan_of_enhanced
    from shards.run import publish_run, read_generator, read_planned
    from tasks.enhance_shard import enhancing_record
    from tasks.selection_file import read_selection, selected_ids

    source_run, source_plan = read_planned(dataset)
    generator = read_generator(dataset)
    if generator is None:
        raise ValueError(f"{dataset}: has no pictures yet; make some with relume generate")
    stages = source_run.config.dataset.stages
    if arguments.stage not in stages:
        raise ValueError(
            f"--stage {arguments.stage}: {dataset} has {' and '.join(stages)}; name one of these"
        )
    only = None
    if arguments.selection is not None:
        only = selected_ids(read_selection(arguments.selection, dataset))
    run, plan = plan_of_enhanced(
        source_run, source_plan, head.weights_sha256[:16], split=arguments.split, only=only
    )
    _warn_of_training(head, source_run, source_plan, arguments.stage, console)
    publish_run(out, run, plan)
    return enhancing_record(run, generator.fingerprint(), arguments.stage, settings, head)


def _warn_of_training(head: Head, run: Run, plan: pa.Table, stage: str, console: Console) -> None:
    """Say where numbers about these pictures would mislead; `relume evaluate` refuses there."""
    if head.training is None:
        return
    source = run.config.stage[stage]  # type: ignore[index]
    if (source.model, source.revision) != (
        head.training.source.model,
        head.training.source.revision,
    ):
        console.warn(
            f"the head is for pictures of {head.training.source.model} "
            f"({head.training.source.revision}), these are of {source.model} ({source.revision})"
        )
    import pyarrow.compute as pc

    tested = plan.filter(pc.equal(plan["split"], "test"))["id"].to_pylist()
    seen = head.overlap(tested)
    if seen:
        console.warn(f"the head was trained on {counted(len(seen), 'sample')} of the test split")


def _work(
    arguments: Arguments,
    dataset: Path,
    out: Path,
    run: Run,
    record: GeneratorRecord,
    settings: EnhanceSettings,
    plan: pa.Table,
    outstanding: list[str],
) -> Work:
    import pyarrow as pa
    import pyarrow.compute as pc

    from tasks.enhance_shard import EnhanceConfig, EnhanceShard

    planned = pc.is_in(plan["shard"], pa.array(outstanding, pa.string()))
    place = Path(arguments.head)
    return Work(
        worker=EnhanceShard,
        config=EnhanceConfig(
            root=str(out.absolute()),
            dataset=str(dataset.absolute()),
            head=str(place.absolute()) if place.exists() else arguments.head,
            stage=arguments.stage,
            size_px=run.config.dataset.size_px,
            settings=settings,
            record=record,
        ),
        leases=planned_leases(plan, outstanding),
        num_leases=len(outstanding),
        total=pc.sum(planned).as_py(),
        needs_gpu=settings.device == "cuda",
        what="enhancing",
        unit="pictures",
    )


def _tell(arguments: Arguments, console: Console, made: Made, waiting: int, seconds: float) -> None:
    if waiting:
        console.warn(
            f"{counted(waiting, 'shard')} not generated yet; the same command goes on afterwards"
        )
    if not arguments.json:
        tell_made(console, made, arguments.part, seconds)
        return
    filling = made.phases[-1]
    told = {
        "out": str(made.folder),
        "shards": len(made.shards),
        "missing": len(made.missing),
        "failed": made.failed,
        "made": {key: filling.made[key] for key in ("shards", "samples", "failed", "bytes")},
        "seconds": round(seconds, 3),
    }
    console.result(json.dumps(told, indent=2))
