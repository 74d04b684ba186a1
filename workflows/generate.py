"""`relume generate`: makes a planned dataset, or continues it where it stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from workflows.agreement import agree
from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console
from workflows.deadline import parse_deadline
from workflows.made import Made, tell_made, what_is_made
from workflows.phases import Placement, is_two_phase, plan_sources, sources_folder
from workflows.pilot import plan_pilot, tell_cost_of_whole
from workflows.workers import Work, WorkerArguments, fill

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.lease import Lease
    from schemas.part import Part
    from schemas.run import GeneratorRecord, Run
    from tasks.generate_shard import GenerateConfig
    from tasks.photo_shard import PhotoConfig
    from workflows.filling import Filling


@dataclass(frozen=True, kw_only=True)
class Arguments(WorkerArguments):
    """Make a planned dataset, or continue it: what is published stays as it is."""

    dataset: tyro.conf.Positional[Path]
    """folder that relume plan made"""
    mend: Annotated[bool, tyro.conf.arg(help="verify first; set damage aside, make it anew")] = (
        False
    )
    limit: int | None = None
    """make a pilot of so many samples in the folder --out first, and say what the whole costs"""
    out: Path | None = None
    """folder of the pilot"""
    placement: Placement = "auto"
    """fused makes source and target in one go, two-phase all sources first; auto asks the GPUs"""
    sources: Path | None = None
    """folder for the sources of two phases; without it DATASET-sources"""
    weights_to: Path | None = None
    """fast folder that every node has of its own, for a copy of the weights to load from"""
    pictures: Path | None = None
    """where the photographs of such a dataset lie now, if no longer where they were planned"""


def main(argv: list[str]) -> int:
    """Generate a dataset."""
    arguments = parse(Arguments, "generate", argv)

    from schemas.part import parse_part
    from shards.run import read_planned

    part, deadline = parse_part(arguments.part), parse_deadline(arguments.deadline, os.environ)
    folders = (arguments.sources, arguments.weights_to, arguments.pictures)
    arguments.check(arguments.dataset, arguments.out, *folders)
    _check(arguments)
    _refuse_made_by_others(arguments.dataset)
    whole = 0
    if arguments.limit is not None and arguments.out is not None:
        run, plan = read_planned(arguments.dataset)
        whole = plan.num_rows
        plan_pilot(arguments.dataset, arguments.out, run, plan, arguments.limit)
        arguments = replace(arguments, dataset=arguments.out)
    console = Console()
    made = make(arguments, part, deadline, console)
    if whole:
        tell_cost_of_whole(console, made.phases, whole)
    return (
        INCOMPLETE
        if made.missing or made.failed or any(phase.unmended for phase in made.phases)
        else DONE
    )


def _check(arguments: Arguments) -> None:
    """What options say about each other."""
    if (arguments.limit is None) != (arguments.out is None):
        raise ValueError("--limit and --out: a pilot needs both, how many samples and which folder")
    if arguments.sources and arguments.sources.resolve() == arguments.dataset.resolve():
        raise ValueError(f"--sources {arguments.sources}: is the dataset; choose another folder")
    if arguments.out and arguments.out.resolve().is_relative_to(arguments.dataset.resolve()):
        raise ValueError(f"--out {arguments.out}: lies in the dataset; choose a place outside")


def _refuse_made_by_others(dataset: Path) -> None:
    """Pictures that are made out of other pictures are not made from prompts."""
    from schemas.sample import MADE_BY
    from shards.run import read_run

    for stage in read_run(dataset).config.dataset.stages:
        if stage in MADE_BY:
            raise ValueError(
                f"{dataset}: {MADE_BY[stage]} makes its pictures; give that command again, with "
                "--mend where something is damaged"
            )


def make(
    arguments: Arguments,
    part: Part,
    deadline: float | None,
    console: Console,
    only: Collection[str] | None = None,
) -> Made:
    """Make what is outstanding of a part of a dataset; of some shards alone where told."""
    from schemas.endings import ends_the_run
    from shards.manifest import rebuild
    from shards.owner import Owner
    from shards.plan import shard_names
    from shards.publish import published
    from shards.run import read_planned
    from workflows.filling import Filling

    dataset = arguments.dataset
    run, plan = read_planned(dataset)
    with Owner(dataset, part) as owner:
        filling = Filling(dataset, shard_names(plan), owner, console)
        with filling.noting_its_end():
            filling.take_charge()
            record = agree(dataset, run, plan, filling, console, mend=arguments.mend)
            outstanding = _outstanding(arguments, record, filling, only)
            first = _sources_first(arguments, part, deadline, console, run, plan, outstanding)
            if first is not None:
                outstanding = list(published(first.folder, outstanding))
            begun = time.monotonic()
            if outstanding:
                config = _config(arguments, run, record, first)
                fill(filling, arguments, deadline, _work(config, plan, outstanding))
            with ends_the_run():
                now = rebuild(dataset, run, shard_names(plan))
            filling.finish()
    phases = [*(first.phases if first else []), filling]
    made = what_is_made(dataset, phases, now.done, only)
    tell_made(console, made, arguments.part, time.monotonic() - begun)
    return made


def _outstanding(
    arguments: Arguments,
    record: GeneratorRecord,
    filling: Filling,
    only: Collection[str] | None,
) -> list[str]:
    """The shards that are to be made, once damage has been set aside."""
    if arguments.mend:
        filling.mend(record.fingerprint())
    outstanding = filling.outstanding(
        record,
        retry_failed=arguments.retry_failed,
        mend=f"relume generate {arguments.dataset} --mend sets it aside",
    )
    return [shard for shard in outstanding if only is None or shard in only]


def _sources_first(
    arguments: Arguments,
    part: Part,
    deadline: float | None,
    console: Console,
    run: Run,
    plan: pa.Table,
    outstanding: list[str],
) -> Made | None:
    """Make the sources of what is outstanding in a dataset of their own, where that is the way."""
    if not outstanding or not is_two_phase(
        arguments.placement, run.config, console, address=arguments.address, here=arguments.here
    ):
        return None
    folder = arguments.sources or sources_folder(arguments.dataset)
    plan_sources(folder, run, plan)
    of_sources = replace(arguments, dataset=folder, placement="auto")
    return make(of_sources, part, deadline, console, outstanding)


def _config(
    arguments: Arguments, run: Run, record: GeneratorRecord, sources: Made | None
) -> GenerateConfig | PhotoConfig:
    from tasks.generate_shard import GenerateConfig
    from workflows.photos import photo_config

    if run.photos is not None:
        return photo_config(arguments.dataset, arguments.pictures, run, run.photos, record)
    if arguments.pictures is not None:
        raise ValueError(f"--pictures {arguments.pictures}: {arguments.dataset} reads none")

    def absolute(path: Path | None) -> str | None:
        return None if path is None else str(path.absolute())

    return GenerateConfig(
        str(arguments.dataset.absolute()),
        run.config,
        record,
        sources=absolute(sources.folder if sources else None),
        weights_to=absolute(arguments.weights_to),
    )


def _work(config: GenerateConfig | PhotoConfig, plan: pa.Table, outstanding: list[str]) -> Work:
    import pyarrow as pa
    import pyarrow.compute as pc

    from tasks.generate_shard import GenerateShard
    from tasks.photo_shard import PhotoConfig, PhotoShard

    planned = pc.is_in(plan["shard"], pa.array(outstanding, pa.string()))
    return Work(
        worker=PhotoShard if isinstance(config, PhotoConfig) else GenerateShard,
        config=config,
        leases=_leases(plan, outstanding),
        num_leases=len(outstanding),
        total=pc.sum(planned).as_py(),
        needs_gpu=config.record.numerics.get("device") == "cuda",
    )


def _leases(plan: pa.Table, shards: list[str]) -> Iterator[Lease]:
    from schemas.lease import Lease
    from shards.plan import planned_samples

    for shard, samples in planned_samples(plan, set(shards)):
        yield Lease(shard=shard, attempt=1, samples=samples)


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
