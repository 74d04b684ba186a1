"""`relume facepairs`: makes pairs of a good and a bad face out of a dataset's pictures."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from workflows.cli import DONE, INCOMPLETE, parse_known, run_verb
from workflows.console import Console, counted
from workflows.deadline import parse_deadline
from workflows.made import tell_made, what_is_made
from workflows.workers import Work, WorkerArguments, fill, planned_leases, refuse_inside

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.facepairs import FacePairSettings
    from schemas.run import GeneratorRecord, Run
    from tasks.captions.file import Captions
    from workflows.filling import Filling


@dataclass(frozen=True, kw_only=True)
class Arguments(WorkerArguments):
    """Make pairs of faces, or continue: faces are found, masked and painted anew by inpainting.

    OUT is a dataset with the stages good, bad and mask. Every setting of the preset's [facepairs]
    can be given too, by its path: --faces 3 --rules.min-side-px 24 --inpaint.steps 25
    """

    config: tyro.conf.Positional[Path]
    """preset with a [facepairs] section, for example configs/facepairs.toml"""
    data: Path
    """dataset whose pictures are taken"""
    out: Path
    """folder of the pairs"""
    split: Literal["train", "validation", "test"] | None = None
    """only this split of the dataset"""
    selection: Path | None = None
    """only the samples of the dataset that relume curate chose"""
    captions: Path | None = None
    """folder of relume caption: captions of these pictures, in place of their own prompts"""
    missing: Literal["refuse", "skip"] = "refuse"
    """with --captions: what to do about pictures without one"""
    weights_to: Path | None = None
    """fast folder that every node has of its own, for a copy of the weights to load from"""
    mend: Annotated[bool, tyro.conf.arg(help="verify OUT first; set damage aside")] = False
    json: Annotated[bool, tyro.conf.arg(help="print the report as JSON")] = False


def main(argv: list[str]) -> int:
    """Make face pairs."""
    arguments, overrides = parse_known(Arguments, "facepairs", argv)
    arguments.check(arguments.out, arguments.data, arguments.weights_to)
    from schemas.facepairs import FacePairSettings, facepair_settings
    from schemas.overrides import parse_overrides

    over = parse_overrides(FacePairSettings, overrides)
    settings = facepair_settings(arguments.config, over)
    refuse_inside(arguments.data, arguments.out)
    return DONE if _make(arguments, settings, Console()) else INCOMPLETE


def _make(arguments: Arguments, settings: FacePairSettings, console: Console) -> bool:
    """Make what is outstanding of a part; whether all of it is there, without faults."""
    from models.stable_diffusion.inpainting import Inpainter
    from schemas.endings import ends_the_run
    from schemas.part import parse_part
    from shards.manifest import rebuild
    from shards.owner import Owner
    from shards.plan import shard_names
    from shards.publish import published
    from shards.run import agree_on_generator, read_planned
    from tasks.facepairs.report import pair_report, write_report
    from workflows.filling import Filling

    out = arguments.out
    record, without_caption = _agree(arguments, settings)
    run, plan = read_planned(out)
    shards = shard_names(plan)
    with Owner(out, parse_part(arguments.part)) as owner:
        filling = Filling(out, shards, owner, console)
        with filling.noting_its_end():
            filling.take_charge()
            for difference in agree_on_generator(out, record, mend=arguments.mend):
                console.warn(f"begun elsewhere, so the last digits may differ: {difference}")
            outstanding = _outstanding(arguments, record, filling)
            there = list(published(arguments.data, outstanding))
            begun = time.monotonic()
            if there:
                deadline = parse_deadline(arguments.deadline, os.environ)
                fill(
                    filling,
                    arguments,
                    deadline,
                    _work(arguments, run, record, settings, plan, there),
                )
            with ends_the_run():
                done = rebuild(out, run, shards).done
                num_cut = Inpainter(settings.inpaint).num_cut
                report = pair_report(out, done, num_cut, without_caption)
                write_report(out, report)
            filling.finish()
    made = what_is_made(out, [filling], done, None)
    if len(outstanding) > len(there):
        waiting = counted(len(outstanding) - len(there), "shard")
        console.warn(f"{waiting} not generated yet; the same command goes on afterwards")
    if arguments.json:
        console.result(json.dumps({"out": str(out), "missing": len(made.missing), **report}))
    else:
        # A face that is not there is a finding, told below.
        faults = replace(made, failed=report["faults"])
        tell_made(console, faults, arguments.part, time.monotonic() - begun)
        _tell(console, report)
    return not (made.missing or report["faults"] or filling.unmended)


def _agree(
    arguments: Arguments, settings: FacePairSettings
) -> tuple[GeneratorRecord, Mapping[str, int]]:
    """Fix which faces are planned, or agree with what is fixed.

    Returned are what makes the pairs, and the pictures that lack a caption, by reason.
    """
    from models.stable_diffusion.inpainting import Inpainter
    from shards.pair_plan import plan_of_pairs
    from shards.run import publish_run, read_generator, read_planned
    from tasks.pair_shard import pairing_record
    from tasks.selection_file import read_selection, selected_ids

    dataset = arguments.data
    source_run, source_plan = read_planned(dataset)
    generator = read_generator(dataset)
    if generator is None:
        raise ValueError(f"{dataset}: has no pictures yet; make some with relume generate")
    stages = source_run.config.dataset.stages
    if settings.stage not in stages:
        raise ValueError(
            f"facepairs.stage = {settings.stage!r}: {dataset} has {' and '.join(stages)}; "
            f"add --stage {stages[0]}"
        )
    only = None
    if arguments.selection is not None:
        only = selected_ids(read_selection(arguments.selection, dataset))
    found = _captions(arguments, settings, source_plan, only)
    run, plan = plan_of_pairs(
        source_run,
        source_plan,
        settings,
        split=arguments.split,
        only=only,
        prompts=None if found is None else found.texts,
    )
    # Before anything is fixed: a model that is missing is told of now.
    record = pairing_record(run, generator, settings, Inpainter(settings.inpaint))
    publish_run(arguments.out, run, plan)
    return record, {} if found is None else found.missing


def _captions(
    arguments: Arguments,
    settings: FacePairSettings,
    plan: pa.Table,
    only: Collection[str] | None,
) -> Captions | None:
    """The captions of the pictures that are asked for; None where their own prompts are to do."""
    from tasks.captions.file import read_captions

    if arguments.captions is None:
        return None
    wanted = [
        row["id"]
        for row in plan.select(["id", "split"]).to_pylist()
        if (only is None or row["id"] in only) and arguments.split in (None, row["split"])
    ]
    return read_captions(
        arguments.captions,
        wanted,
        missing=arguments.missing,
        dataset=arguments.data,
        stage=settings.stage,
    )


def _outstanding(arguments: Arguments, record: GeneratorRecord, filling: Filling) -> list[str]:
    if arguments.mend:
        filling.mend(record.fingerprint())
    return filling.outstanding(
        record,
        retry_failed=arguments.retry_failed,
        mend="the same command with --mend sets it aside",
    )


def _work(
    arguments: Arguments,
    run: Run,
    record: GeneratorRecord,
    settings: FacePairSettings,
    plan: pa.Table,
    outstanding: list[str],
) -> Work:
    import pyarrow as pa
    import pyarrow.compute as pc

    from tasks.pair_shard import PairConfig, PairShard

    planned = pc.is_in(plan["shard"], pa.array(outstanding, pa.string()))
    place = arguments.weights_to
    return Work(
        worker=PairShard,
        config=PairConfig(
            root=str(arguments.out.absolute()),
            dataset=str(arguments.data.absolute()),
            size_px=run.config.dataset.size_px,
            settings=settings,
            record=record,
            weights_to=None if place is None else str(place.absolute()),
        ),
        leases=planned_leases(plan, outstanding),
        num_leases=len(outstanding),
        total=pc.sum(planned).as_py(),
        needs_gpu=record.numerics["device"] == "cuda",
        what="pairing",
        unit="faces",
    )


def _tell(console: Console, report: Mapping[str, Any]) -> None:
    """Say how many faces became pairs, and why others did not."""
    console.facts(
        {
            "pairs": f"{report['pairs']:,} of {report['planned']:,} planned faces, in "
            f"{report['pictures_with_a_pair']:,} of {counted(report['pictures'], 'picture')}",
            "by noise": ", ".join(
                f"{factor}: {count:,}" for factor, count in report["by_noise_factor"].items()
            )
            or "none",
        }
    )
    if report["left_out"]:
        rows = [(why, f"{count:,}") for why, count in report["left_out"].items()]
        console.table(("left out because", "faces"), rows)
    lacking = report["pictures_without_a_caption"]
    if lacking:
        told = ", ".join(f"{count:,} {why}" for why, count in lacking.items())
        console.warn(f"{counted(sum(lacking.values()), 'picture')} left out: no caption ({told})")
    if report["prompts_cut"]:
        console.note(f"{counted(report['prompts_cut'], 'prompt')} cut to what the encoder reads")


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
