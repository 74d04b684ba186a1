"""Finds the generator that a dataset's settings ask for, and imports no other."""

from __future__ import annotations

from models.generators.generator import Generator
from schemas.config import DatasetConfig, ProceduralSettings


def build_generator(config: DatasetConfig) -> Generator:
    """A generator, with nothing loaded yet."""
    if isinstance(config.generator, ProceduralSettings):
        from models.generators.procedural.generator import ProceduralGenerator

        return ProceduralGenerator(config)
    from models.generators.diffusers_pair.generator import DiffusersGenerator

    return DiffusersGenerator(config)
