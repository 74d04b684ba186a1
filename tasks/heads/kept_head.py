"""What a training run leaves for others: the best head so far, and a picture of every epoch."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.heads.blocks import HeadNetwork
from models.heads.head import Head
from models.heads.training_ids import TrainingIds
from schemas.endings import ends_the_run
from schemas.generator import DiffusersSettings
from schemas.head import PictureMaker, Profile, TrainingFacts
from schemas.run import Run
from schemas.sample import Stage
from schemas.settings import as_plain, fingerprint
from schemas.train import TrainConfig
from shards import filesystem
from tasks.heads.samples import TrainingSamples

HEAD, GRIDS = "head", "grids"


def keep_head(
    run: Path,
    config: TrainConfig,
    samples: TrainingSamples,
    network: HeadNetwork,
    images_seen: int,
) -> None:
    """Write RUN/head anew, with what it was trained on."""
    made, ids = samples.run.config, TrainingIds.of(samples.ids)
    facts = TrainingFacts(
        dataset=made.name,
        method=config.objective.kind,
        profile=_profile(samples.run),
        source=_maker(samples.run, "source"),
        target=_maker(samples.run, "target"),
        num_ids=len(ids),
        ids_sha256=ids.sha256,
        size_px=samples.side_px(config.phase[-1]),
        images_seen=images_seen,
        config_sha256=fingerprint(as_plain(config)),
    )
    with ends_the_run():
        Head(network, config.network, facts, ids).save(run / HEAD)


def keep_grid(run: Path, epoch: int, grid: NDArray[np.uint8]) -> None:
    """Write the picture of an epoch."""
    with ends_the_run():
        filesystem.make_folder(run / GRIDS)
        png = io.BytesIO()
        Image.fromarray(grid).save(png, "PNG")
        path = run / GRIDS / f"epoch-{epoch:04d}.png"
        filesystem.replace_file(run, path, filesystem.plain(png.getvalue()))


def _profile(run: Run) -> Profile:
    generator = run.config.generator
    return generator.profile if isinstance(generator, DiffusersSettings) else "procedural"


def _maker(run: Run, stage: Stage) -> PictureMaker:
    settings = run.config.stage[stage]
    return PictureMaker(model=settings.model, revision=settings.revision)
