"""One run of `relume caption`: agrees on what captions are made by, makes, gathers and tells."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from workflows.caption_arguments import Arguments, caption_settings
from workflows.caption_beside import apply_review, write_page, write_texts
from workflows.console import Console, counted
from workflows.deadline import parse_deadline
from workflows.workers import Work, fill, shard_leases

if TYPE_CHECKING:
    from schemas.caption import CaptionRecord
    from schemas.sample import Stage
    from tasks.captions.decisions import Count
    from tasks.captions.report import CaptionReport
    from workflows.filling import Filling


def record_of(arguments: Arguments, console: Console) -> CaptionRecord:
    """Fix what captions are made by, or agree with what is fixed."""
    from schemas.caption import CaptionRecord
    from shards import filesystem
    from shards.photo_files import find_photos, photos_identity, photos_parquet, publish_photos
    from shards.provenance import code_version, library_versions
    from shards.record_file import agree_on_record
    from tasks.caption_shard import caption_weights, clip_files
    from tasks.captions.file import RECORD
    from tasks.captions.texts import REFUSALS_VERSION

    settings, root = caption_settings(arguments), arguments.out
    name, dataset, stage = _of_dataset(arguments)
    photos = data = None
    if dataset is None:
        found = find_photos(arguments.input)
        if found.others:
            others = counted(found.others, "file")
            console.note(f"{arguments.input}: {others} of other kinds left out")
        data = photos_parquet(found.photos)
        photos = photos_identity(data, found.photos)
    record = CaptionRecord(
        name=name,
        dataset=dataset,
        stage=stage,
        photos=photos,
        settings=settings,
        weights=caption_weights(settings),
        clip=clip_files(settings),
        refusals=REFUSALS_VERSION,
        code=code_version(),
        libraries=library_versions(),
    )
    filesystem.make_folder(root)
    told = "was begun of other pictures or with other settings; choose another --out"
    for difference in agree_on_record(root / RECORD, record, told):
        console.warn(f"begun elsewhere, so the last digits may differ: {difference}")
    if data is not None:
        publish_photos(root, data)
    return record


def begun_record(arguments: Arguments) -> CaptionRecord:
    """What captions that are there were made by; ValueError where they are of other pictures."""
    from tasks.captions.file import caption_record

    record = caption_record(arguments.out)
    _, dataset, _ = _of_dataset(arguments)
    if dataset != record.dataset:
        raise ValueError(f"{arguments.out}: its captions are not of {arguments.input}")
    return record


def _of_dataset(arguments: Arguments) -> tuple[str, str | None, Stage | None]:
    """Name, fingerprint and stage of a dataset; of a folder its name alone."""
    from shards.layout import PLAN
    from shards.run import read_generator, read_run

    place = arguments.input
    if not (place / PLAN).is_file():
        if arguments.stage is not None:
            raise ValueError(f"--stage {arguments.stage}: {place} is a folder, and no dataset")
        return place.resolve().name, None, None
    run, generator = read_run(place), read_generator(place)
    if generator is None:
        raise ValueError(f"{place}: has no pictures yet; make some with relume generate")
    stages = run.config.dataset.stages
    if arguments.stage is None and len(stages) > 1:
        raise ValueError(f"{place}: has {' and '.join(stages)}; name one of these with --stage")
    stage = arguments.stage or stages[0]
    if stage not in stages:
        raise ValueError(f"--stage {stage}: {place} has {' and '.join(stages)}; name one of these")
    return run.config.name, generator.fingerprint(), stage


def caption(arguments: Arguments, record: CaptionRecord, console: Console) -> bool:
    """Caption what is outstanding of a part, and tell; whether all of it is there and well."""
    from schemas.part import parse_part
    from shards.owner import Owner
    from tasks.captions.file import gather_captions
    from workflows.filling import Filling

    root, shards = arguments.out, _shards(arguments, record)
    count = _counting(arguments, record)
    with Owner(root, parse_part(arguments.part)) as owner:
        filling = Filling(root, shards, owner, console)
        with filling.noting_its_end():
            filling.take_charge()
            outstanding = filling.outstanding(
                record, retry_failed=arguments.retry_failed, mend="choose another --out"
            )
            begun = time.monotonic()
            there = _there(arguments, record, outstanding)
            if there and not arguments.report_only:
                deadline = parse_deadline(arguments.deadline, os.environ)
                fill(filling, arguments, deadline, _work(arguments, record, there))
            seconds = time.monotonic() - begun
            if arguments.review is not None:
                apply_review(arguments.review, root, record, shards, console)
            done = gather_captions(root, shards, count)
            filling.finish()
    mine = [shard for shard in filling.shards if shard in done]
    errors = sum(done[shard].failed for shard in mine)
    return _tell(arguments, record, filling, len(shards), len(done), seconds) and not (
        errors or len(mine) < len(filling.shards)
    )


def _shards(arguments: Arguments, record: CaptionRecord) -> Sequence[str]:
    from shards.plan import shard_names
    from shards.run import read_planned
    from tasks.captions.inputs import chunk_names

    if record.photos is not None:
        return chunk_names(record.photos.rows, record.settings.chunk)
    return shard_names(read_planned(arguments.input)[1])


def _there(
    arguments: Arguments, record: CaptionRecord, outstanding: Sequence[str]
) -> Sequence[str]:
    """What of it can be captioned now: shards of a dataset that are made."""
    from shards.publish import published

    if record.photos is not None:
        return outstanding
    return list(published(arguments.input, outstanding))


def _work(arguments: Arguments, record: CaptionRecord, shards: Sequence[str]) -> Work:
    from shards.publish import published
    from tasks.caption_shard import CaptionConfig, CaptionShard

    if record.photos is not None:
        total = min(record.photos.rows, len(shards) * record.settings.chunk)
    else:
        total = sum(one.ok for one in published(arguments.input, shards).values())
    return Work(
        worker=CaptionShard,
        config=CaptionConfig(
            root=str(arguments.out.absolute()),
            pictures=str(arguments.input.absolute()),
            record=record,
        ),
        leases=shard_leases(shards),
        num_leases=len(shards),
        total=total,
        needs_gpu=record.settings.device == "cuda",
        what="captioning",
        unit="pictures",
    )


def _counting(arguments: Arguments, record: CaptionRecord) -> Count | None:
    """What counts the tokens of edited captions; loaded only where there are some."""
    if not record.clip:
        return None

    def count(texts: Sequence[str]) -> list[int]:
        from models.captioner.clip_length import (
            ClipLength,
            clip_tokenizer_files,
            clip_tokenizer_folder,
        )

        if not texts:
            return []
        named = arguments.clip_tokenizer or record.settings.clip_tokenizer or ""
        folder = clip_tokenizer_folder(named)
        if dict(clip_tokenizer_files(folder)) != record.clip:
            raise ValueError(f"--clip-tokenizer {named}: is not the one that counted the others")
        return ClipLength(folder)(texts)

    return count


def _tell(
    arguments: Arguments,
    record: CaptionRecord,
    filling: Filling,
    planned: int,
    done: int,
    seconds: float,
) -> bool:
    """Write and say what came of it; whether nothing was in the way."""
    from tasks.captions.file import caption_rows, read_rows
    from tasks.captions.report import caption_report
    from workflows.caption_told import tell, write_report

    console = filling.console
    rows = caption_rows(read_rows(arguments.out))
    report = caption_report(record, rows, planned, done)
    write_report(arguments.out, report, record)
    sidecars = write_texts(arguments, rows, console)
    write_page(arguments, record, rows, console)
    speed = _speed(filling, seconds)
    if arguments.json:
        told = {**asdict(report), "speed": speed, "sidecars": sidecars}
        console.result(json.dumps(told, indent=2))
    else:
        tell(console, report, speed, sidecars)
    _warn(filling, report, sidecars, console)
    return not sidecars.get("foreign")


def _speed(filling: Filling, seconds: float) -> dict[str, float]:
    """Pictures of this run, and how fast they were captioned, with the loading and without."""
    made = filling.made["samples"]
    if not made:
        return {}
    return {
        "pictures": made,
        "seconds": round(seconds, 3),
        "per_second": made / seconds,
        "per_second_and_worker": made / filling.worker_s if filling.worker_s else 0.0,
    }


def _warn(
    filling: Filling, report: CaptionReport, sidecars: dict[str, int | list[str]], console: Console
) -> None:
    if report.done < report.planned:
        console.warn("not all of it is captioned; the same command continues")
    if filling.given_up():
        console.warn("some was given up: once that is mended, the same command with --retry-failed")
    if report.statuses.get("error"):
        errors = counted(report.statuses["error"], "picture")
        console.warn(f"{errors} could not be read: status error says why")
    foreign = sidecars.get("foreign")
    if isinstance(foreign, list) and foreign:
        console.warn(
            f"{counted(len(foreign), 'text file')} left as they are, which this run did not write, "
            f"for example {foreign[0]}; move them away, or name another folder"
        )
