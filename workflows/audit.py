"""`relume audit`: says who seems to be in a dataset's pictures, and how sure that is."""

from __future__ import annotations

import os
from collections.abc import Iterator
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
    from schemas.lease import Lease

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
    target: Path | None = None
    """TOML file of shares to compare with, a table for gender, age or ethnicity"""
    duplicates: Annotated[bool, tyro.conf.arg(help="look for near-duplicates, in minutes")] = False
    report_only: Annotated[bool, tyro.conf.arg(help="tables and figures of what is there")] = False


def main(argv: list[str]) -> int:
    """Audit a dataset."""
    arguments = parse(Arguments, "audit", argv)
    arguments.check(arguments.dataset, arguments.out, arguments.against)
    _check(arguments)
    from tasks.audit_settings import read_target

    target = None if arguments.target is None else read_target(arguments.target)
    console, settings = Console(), _settings(arguments)
    roots = {arguments.dataset: arguments.out}
    if arguments.against is not None:
        roots[arguments.against] = arguments.out / AGAINST
    whole = True
    for dataset, root in roots.items():
        whole &= _audit(arguments, settings, dataset, root, console)
    from workflows.audit_report import report

    if arguments.part == "1/1":
        report(arguments.out, roots, target, console, duplicates=arguments.duplicates)
    return DONE if whole else INCOMPLETE


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
    arguments: Arguments, settings: AuditSettings, dataset: Path, root: Path, console: Console
) -> bool:
    """Audit what is outstanding of one dataset; whether all of it is there and without errors."""
    from schemas.audit import AUDIT_SCHEMA
    from schemas.endings import ends_the_run
    from schemas.part import parse_part
    from shards import filesystem
    from shards.gathering import gather_rows
    from shards.owner import Owner
    from shards.plan import shard_names
    from shards.publish import published
    from shards.run import read_planned
    from workflows.filling import Filling

    _, plan = read_planned(dataset)
    record = _agree(settings, dataset, root, console)
    filesystem.make_folder(root)
    shards = shard_names(plan)
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
            with ends_the_run():
                done = gather_rows(root, shards, AUDIT_SCHEMA)
            seconds = filling.finish()
    mine = [shard for shard in filling.shards if shard in done]
    failed = sum(done[shard].failed for shard in mine)
    console.heading(f"{dataset}: {len(mine):,} of {len(filling.shards):,} shards audited")
    if filling.made["shards"]:
        rate = filling.made["samples"] / seconds
        console.facts(
            {
                "looked at": f"{counted(filling.made['samples'], 'picture')}, {duration(seconds)}, "
                f"{rate:,.1f} a second"
            }
        )
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
