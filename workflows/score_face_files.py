"""`relume facescore score` on files: a table of scores per chunk, in leases like captions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workflows.console import Console, counted
from workflows.score_face_arguments import Arguments
from workflows.score_face_run import Asked, agree, score
from workflows.score_face_told import RECORD

if TYPE_CHECKING:
    from schemas.facescore import FaceScoreSettings


def score_files(arguments: Arguments, settings: FaceScoreSettings, console: Console) -> bool:
    """Score what is outstanding of a part; whether all of it is there and without errors."""
    from shards.photo_files import photos_identity, photos_parquet, publish_photos
    from tasks.captions.inputs import chunk_names
    from tasks.enhance.inputs import find_pictures
    from tasks.facescore.files import CHUNK, named_files

    out, chunk = arguments.out, CHUNK if arguments.chunk is None else arguments.chunk
    if arguments.stage:
        stages = " ".join(arguments.stage)
        raise ValueError(f"--stage {stages}: is for a dataset, and {arguments.input[0]} is none")
    if chunk < 1:
        raise ValueError(f"--chunk {chunk}: should be at least 1")
    inputs = find_pictures(arguments.input, out, ".png")
    if inputs.others:
        console.note(f"{counted(inputs.others, 'file')} in the folders left out: no pictures")
    if out.is_dir() and not (out / RECORD).exists() and any(out.iterdir()):
        raise ValueError(f"--out {out}: holds other files and no scores; choose a new folder")
    files = named_files([item.picture for item in inputs.items])
    data = photos_parquet(files.photos)
    identity = photos_identity(data, files.photos)
    record = agree(arguments, settings, console, photos=identity, chunk=chunk)
    publish_photos(out, data)
    asked = Asked(
        place=files.folder,
        shards=chunk_names(len(files.photos), chunk),
        there=list,
        count=lambda shards: min(len(files.photos), len(shards) * chunk),
    )
    # A cluster for a few pictures only where one is asked for.
    here = arguments.here or not (arguments.address or arguments.workers)
    return score(replace(arguments, here=here), record, asked, console)
