"""Photographs in `relume plan` and `relume generate`: what is taken out of a folder, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console, counted

if TYPE_CHECKING:
    from schemas.config import DatasetConfig
    from schemas.run import FileIdentity, GeneratorRecord, Run
    from tasks.photo_shard import PhotoConfig


@dataclass(frozen=True, slots=True)
class Photos:
    """The photographs that a dataset is planned with."""

    ids: list[str]
    data: bytes
    identity: FileIdentity
    folder: str

    def publish(self, dataset: Path) -> None:
        """Put the table of them beside the plan."""
        from shards.photo_files import publish_photos

        publish_photos(dataset, self.data)


def photos_of(
    folder: Path | None, config: DatasetConfig, console: Console, *, checksums: bool
) -> Photos | None:
    """What a plan takes out of a folder; None where its pictures are generated."""
    if config.generator.kind != "folder":
        if folder is not None or checksums:
            raise ValueError(
                f"--pictures {folder}: dataset.{config.name} generates its pictures; leave it and "
                "--checksums out, or set generator.kind = 'folder'"
            )
        return None
    if folder is None:
        raise ValueError(
            f"dataset.{config.name} is of photographs; name their folder with --pictures"
        )
    from shards.photo_files import (
        chosen_photos,
        find_photos,
        photos_identity,
        photos_parquet,
        with_checksums,
    )

    found = find_photos(folder)
    if found.others:
        console.note(f"{folder}: {counted(found.others, 'file')} of other kinds left out")
    count, skip = config.dataset.count, config.generator.skip
    chosen = chosen_photos(found.photos, count, skip, config.seed)
    if checksums:
        with console.progress("reading", "pictures", len(chosen)) as advance:
            summed = []
            for one in with_checksums(folder, chosen):
                summed.append(one)
                advance(len(summed))
        chosen = summed
    data = photos_parquet(chosen)
    identity = photos_identity(data, chosen)
    return Photos([one.id for one in chosen], data, identity, str(folder.absolute()))


def photo_config(
    dataset: Path, pictures: Path | None, run: Run, photos: FileIdentity, record: GeneratorRecord
) -> PhotoConfig:
    """What workers are told of a dataset of photographs; ValueError where these are not there."""
    from shards.photo_files import read_photos
    from tasks.photo_shard import REPLAN, PhotoConfig

    folder = pictures or Path(run.folder or "")
    if not folder.is_dir():
        raise ValueError(
            f"{folder}: is no folder; name with --pictures where the photographs lie now"
        )
    read_photos(dataset, photos, REPLAN)
    return PhotoConfig(
        dataset=str(dataset.absolute()),
        folder=str(folder.absolute()),
        photos=photos,
        config=run.config,
        record=record,
    )
