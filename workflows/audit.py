"""`relume audit`: says who seems to be in a dataset's pictures, and how sure that is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console, counted, duration
from workflows.deadline import parse_deadline
from workflows.fetch import face_settings
from workflows.workers import Work, WorkerArguments, fill

if TYPE_CHECKING:
    from schemas.audit import AuditSettings
    from schemas.audit_record import AuditRecord
    from schemas.lease import Lease, ShardDone
    from workflows.audit_report import Asked
    from workflows.filling import Filling

AGAINST = "against"


@dataclass(frozen=True, kw_only=True)
class Arguments(WorkerArguments):
    """Look at every picture of a dataset, or continue; then tables and figures of all that is seen.

    Every word about people is a classifier's perception of a synthetic picture.
    """

    dataset: tyro.conf.Positional[Path]
    """folder of the dataset"""
    out: Path
    """folder of the audit"""
    against: Path | None = None
    """another dataset to compare it with, the paper's baseline, audited in OUT/against"""
    analyser: Literal["deepface", "truth"] = "deepface"
    """DeepFace's models, or the painter's truth of procedural portraits"""
    detector: str = "retinaface"
    """what looks for faces: retinaface, opencv, yunet and DeepFace's others"""
    engine: Literal["onnx", "pytorch"] = "onnx"
    """what runs DeepFace's models"""
    weights: Path | None = None
    """folder that holds .deepface/weights; without it DEEPFACE_HOME, or else the home folder"""
    min_confidence: float = 0.0
    """a largest face below this is low_confidence"""
    batch_size: int = 16
    """faces whose attributes are predicted at once"""
    threads: int = 1
    """threads of the processor for each worker"""
    lpips: Literal["vgg", "alex"] | None = None
    """also tell how far each target is from its source, by this LPIPS"""
    lpips_weights: Path = Path("weights")
    """folder of LPIPS' published weights"""
    selection: Path | None = None
    """tables and figures of the samples alone that relume curate chose of DATASET, in
    OUT/selected/NAME; OUT keeps those of all"""
    target: Path | None = None
    """TOML file of shares to compare with, a table for gender, age or ethnicity"""
    duplicates: Annotated[bool, tyro.conf.arg(help="look for near-duplicates, in minutes")] = False
    report_only: Annotated[bool, tyro.conf.arg(help="tables and figures of what is there")] = False


def main(argv: list[str]) -> int:
    """Audit a dataset."""
    arguments = parse(Arguments, "audit", argv)
    arguments.check(arguments.dataset, arguments.out, arguments.against)
    _check(arguments)
    from workflows.audit_report import report

    console, settings, asked = Console(), _settings(arguments), _asked(arguments)
    roots = {arguments.dataset: arguments.out}
    if arguments.against is not None:
        roots[arguments.against] = arguments.out / AGAINST
    # Of both, before hours go into the first.
    records = {dataset: _agree(settings, dataset, root, console) for dataset, root in roots.items()}
    whole = True
    for dataset, root in roots.items():
        whole &= _audit(arguments, records[dataset], dataset, root, console)
    if arguments.part == "1/1" or _last_of_the_parts(roots, console):
        report(arguments.out, roots, asked, console)
    return DONE if whole else INCOMPLETE


def _asked(arguments: Arguments) -> Asked:
    from tasks.audit_settings import read_target
    from tasks.selection_file import read_selection, selected_ids
    from workflows.audit_report import Asked

    selection = None
    if arguments.selection is not None:
        chosen = read_selection(arguments.selection, arguments.dataset)
        selection = arguments.selection, selected_ids(chosen)
    return Asked(
        target=None if arguments.target is None else read_target(arguments.target),
        duplicates=arguments.duplicates,
        selection=selection,
    )


def _check(arguments: Arguments) -> None:
    datasets = [one for one in (arguments.dataset, arguments.against) if one is not None]
    if arguments.against is not None and arguments.against.resolve() == arguments.dataset.resolve():
        raise ValueError(f"--against {arguments.against}: is the dataset itself; name another one")
    for dataset in datasets:
        if arguments.out.resolve().is_relative_to(dataset.resolve()):
            raise ValueError(f"--out {arguments.out}: lies in {dataset}; choose a place outside")


def _settings(arguments: Arguments) -> AuditSettings:
    """The options as settings; a ValueError lists every mistake in them."""
    from schemas.audit import AuditSettings
    from schemas.settings import as_plain, resolve

    analyser: dict[str, object] = {"kind": arguments.analyser}
    if arguments.analyser == "deepface":
        models = face_settings(arguments.detector, arguments.engine, arguments.weights)
        analyser = as_plain(models) | {
            "min_confidence": arguments.min_confidence,
            "batch_size": arguments.batch_size,
            "threads": arguments.threads,
        }
    tables = {
        "analyser": analyser,
        "lpips": arguments.lpips,
        "lpips_weights": str(arguments.lpips_weights.absolute()),
    }
    return resolve(AuditSettings, tables, "relume audit")


def _audit(
    arguments: Arguments, record: AuditRecord, dataset: Path, root: Path, console: Console
) -> bool:
    """Audit what is outstanding of one dataset; whether all of it is there and without errors."""
    from schemas.part import parse_part
    from shards.owner import Owner
    from shards.publish import published
    from workflows.filling import Filling

    shards = _planned(dataset)
    with Owner(root, parse_part(arguments.part)) as owner:
        filling = Filling(root, shards, owner, console)
        with filling.noting_its_end():
            filling.take_charge()
            outstanding = filling.outstanding(
                record, retry_failed=arguments.retry_failed, mend="choose another --out"
            )
            there = list(published(dataset, outstanding))
            if there and not arguments.report_only:
                deadline = parse_deadline(arguments.deadline, os.environ)
                fill(filling, arguments, deadline, _work(dataset, root, record, there))
            done = _gather(root, shards)
            seconds = filling.finish()
    return _tell(console, dataset, filling, done, seconds)


def _planned(dataset: Path) -> list[str]:
    from shards.plan import shard_names
    from shards.run import read_planned

    _, plan = read_planned(dataset)
    return shard_names(plan)


def _gather(root: Path, shards: list[str]) -> dict[str, ShardDone]:
    from schemas.audit import AUDIT_SCHEMA
    from schemas.endings import ends_the_run
    from shards.gathering import gather_rows

    with ends_the_run():
        return gather_rows(root, shards, AUDIT_SCHEMA)


def _last_of_the_parts(roots: Mapping[Path, Path], console: Console) -> bool:
    """Whether the other parts have audited all that is theirs, so that this one reports.

    Parts that end at once may both be the last, and then write the same report.
    """
    from shards.publish import published

    planned = {root: _planned(dataset) for dataset, root in roots.items()}
    done = {root: published(root, shards) for root, shards in planned.items()}
    missing = sum(len(shards) - len(done[root]) for root, shards in planned.items())
    if missing:
        console.note(
            f"{counted(missing, 'shard')} not audited yet, so there is no report: the part that "
            "ends last makes it; where some stay missing, --report-only without --part does"
        )
        return False
    for root, shards in planned.items():
        _gather(root, shards)  # another part may not have come to it yet
    return True


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


def _agree(settings: AuditSettings, dataset: Path, root: Path, console: Console) -> AuditRecord:
    """Fix what the audit is made by, or agree with what is fixed."""
    from schemas.audit_record import AuditRecord
    from shards import filesystem
    from shards.provenance import code_version, library_versions, processor
    from shards.record_file import agree_on_record
    from shards.run import read_generator, read_run
    from tasks.lookers import audit_weights, build_looker

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
        leases=_leases(outstanding),
        num_leases=len(outstanding),
        total=samples * len(record.stages),
        what="looking",
        unit="pictures",
    )


def _leases(shards: list[str]) -> Iterator[Lease]:
    from schemas.lease import Lease

    return (Lease(shard=shard, attempt=1, samples=()) for shard in shards)


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
