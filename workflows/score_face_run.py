"""One run of `relume facescore score`: agrees on what makes the scores, makes and gathers them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console, counted
from workflows.deadline import parse_deadline
from workflows.score_face_arguments import Arguments
from workflows.score_face_told import RECORD, tell
from workflows.workers import Work, fill, shard_leases

if TYPE_CHECKING:
    from schemas.facescore import FaceScoreRecord, FaceScoreSettings
    from schemas.run import FileIdentity
    from schemas.sample import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The pictures that are to be scored."""

    place: Path
    """the dataset, or the folder that all files lie in"""
    shards: Sequence[str]
    """the units of work"""
    there: Callable[[Sequence[str]], list[str]]
    """those of some units that can be scored now"""
    count: Callable[[Sequence[str]], int]
    """pictures in some units"""


def agree(
    arguments: Arguments,
    settings: FaceScoreSettings,
    console: Console,
    *,
    dataset: str | None = None,
    stages: tuple[Stage, ...] = (),
    photos: FileIdentity | None = None,
    chunk: int | None = None,
) -> FaceScoreRecord:
    """Fix what the scores are made by, or agree with what is fixed."""
    from schemas.facescore import FaceScoreRecord
    from shards import filesystem
    from shards.provenance import code_version, library_versions, processor
    from shards.record_file import agree_on_record
    from tasks.facescore.faces import scorer_weights

    record = FaceScoreRecord(
        dataset=dataset,
        stages=stages,
        photos=photos,
        chunk=chunk,
        settings=settings,
        weights=scorer_weights(settings, arguments.scorer),
        code=code_version(),
        libraries=library_versions(),
        processor=processor(),
    )
    filesystem.make_folder(arguments.out)
    told = (
        "was begun of other pictures, another scorer or with other settings; choose another --out"
    )
    for difference in agree_on_record(arguments.out / RECORD, record, told):
        console.warn(f"begun elsewhere, so the last digits may differ: {difference}")
    return record


def score(arguments: Arguments, record: FaceScoreRecord, asked: Asked, console: Console) -> bool:
    """Score what is outstanding of a part; whether all of it is there and without errors."""
    from schemas.endings import ends_the_run
    from schemas.facescore import FACE_SCORE_SCHEMA
    from schemas.part import parse_part
    from shards.encoding import read_parquet
    from shards.gathering import ROWS, gather_rows
    from shards.owner import Owner
    from workflows.filling import Filling

    root = arguments.out
    with Owner(root, parse_part(arguments.part)) as owner:
        filling = Filling(root, asked.shards, owner, console)
        with filling.noting_its_end():
            filling.take_charge()
            outstanding = filling.outstanding(
                record, retry_failed=arguments.retry_failed, mend="choose another --out"
            )
            there = asked.there(outstanding)
            if there:
                deadline = parse_deadline(arguments.deadline, os.environ)
                fill(filling, arguments, deadline, _work(arguments, record, asked, there))
            with ends_the_run():
                done = gather_rows(root, asked.shards, FACE_SCORE_SCHEMA)
            filling.finish()
    mine = [shard for shard in filling.shards if shard in done]
    tell(console, arguments, read_parquet(root / ROWS).to_pylist(), of_files=bool(record.photos))
    if len(mine) < len(filling.shards):
        console.warn(
            f"{len(mine):,} of {counted(len(filling.shards), 'shard')} scored; the same command "
            "continues"
        )
    if filling.given_up().keys() - set(mine):
        console.warn("some was given up: once that is mended, the same command with --retry-failed")
    return len(mine) == len(filling.shards) and not any(done[shard].failed for shard in mine)


def _work(
    arguments: Arguments, record: FaceScoreRecord, asked: Asked, shards: Sequence[str]
) -> Work:
    from tasks.score_shard import ScoreConfig, ScoreShard

    return Work(
        worker=ScoreShard,
        config=ScoreConfig(
            str(arguments.out.absolute()),
            str(asked.place.absolute()),
            str(arguments.scorer.absolute()),
            record,
        ),
        leases=shard_leases(shards),
        num_leases=len(shards),
        total=asked.count(shards),
        needs_gpu=record.settings.device == "cuda",
        what="scoring",
        unit="pictures",
    )
