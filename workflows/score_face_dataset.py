"""`relume facescore score` on a dataset: a table of scores per shard, in leases like an audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workflows.console import Console
from workflows.score_face_arguments import Arguments
from workflows.score_face_run import Asked, agree, score

if TYPE_CHECKING:
    from schemas.facescore import FaceScoreSettings
    from schemas.sample import Stage


def score_dataset(
    arguments: Arguments, dataset: Path, settings: FaceScoreSettings, console: Console
) -> bool:
    """Score what is outstanding of a part; whether all of it is there and without errors."""
    from shards.plan import shard_names
    from shards.publish import published
    from shards.run import read_generator, read_planned, read_run

    root = arguments.out
    if root.resolve().is_relative_to(dataset.resolve()):
        raise ValueError(f"--out {root}: lies in {dataset}; choose a place outside")
    if arguments.chunk is not None:
        raise ValueError(f"--chunk {arguments.chunk}: is for files, and {dataset} has its shards")
    generator, run = read_generator(dataset), read_run(dataset)
    if generator is None:
        raise ValueError(f"{dataset}: has no pictures yet; make some with relume generate")
    stages = _stages(arguments.stage, run.config.dataset.stages, dataset)
    record = agree(arguments, settings, console, dataset=generator.fingerprint(), stages=stages)
    asked = Asked(
        place=dataset,
        shards=shard_names(read_planned(dataset)[1]),
        there=lambda shards: list(published(dataset, shards)),
        count=lambda shards: (
            len(stages) * sum(one.ok for one in published(dataset, shards).values())
        ),
    )
    return score(arguments, record, asked, console)


def _stages(wanted: tuple[str, ...], there: tuple[Stage, ...], dataset: Path) -> tuple[Stage, ...]:
    for stage in wanted:
        if stage not in there:
            raise ValueError(f"--stage {stage}: {dataset} has {' and '.join(there)}")
    # A mask shows no face.
    return tuple(one for one in there if (one in wanted if wanted else one != "mask"))
