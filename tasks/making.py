"""What makes the pictures of a dataset, as this machine would make them."""

from __future__ import annotations

from models.generators.build import build_generator
from schemas.config import DatasetConfig
from schemas.photo import FolderSettings
from schemas.run import FileIdentity, GeneratorRecord
from shards.provenance import code_version, library_versions, processor
from tasks.photo_shard import photo_making


def making_of(
    config: DatasetConfig,
    plan_sha256: str,
    truth: FileIdentity | None = None,
    photos: FileIdentity | None = None,
) -> GeneratorRecord:
    """The record of models, numerics and stack that generator.json is to hold."""
    if isinstance(config.generator, FolderSettings):
        return photo_making(config, plan_sha256, photos)
    generator = build_generator(config)
    numerics = generator.numerics()
    return GeneratorRecord(
        plan_sha256=plan_sha256,
        truth=truth,
        models={stage: model for stage, model in generator.identity().items()},
        numerics={**numerics, "batch_size": config.dataset.batch_size},
        code=code_version(),
        libraries=library_versions(),
        processor=None if numerics.get("device") == "cuda" else processor(),
    )
