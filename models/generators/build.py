"""Finds the generator that a dataset's settings ask for, and imports no other."""

from __future__ import annotations

from models.generators.generator import Generator
from models.offline import stay_offline
from schemas.config import DatasetConfig
from schemas.generator import ProceduralSettings
from schemas.photo import FolderSettings


def build_generator(config: DatasetConfig) -> Generator:
    """A generator, with nothing loaded yet."""
    if isinstance(config.generator, ProceduralSettings):
        from models.generators.procedural.generator import ProceduralGenerator

        return ProceduralGenerator(config)
    if isinstance(config.generator, FolderSettings):
        raise ValueError(
            "generator.kind = 'folder': photographs are read, not generated; name a preset with a "
            "painter or models"
        )
    stay_offline()
    from models.generators.diffusers_pair.generator import DiffusersGenerator

    return DiffusersGenerator(config)
