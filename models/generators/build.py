"""Finds the generator that a dataset's settings ask for, and imports no other."""

from __future__ import annotations

import os

from models.generators.generator import Generator
from schemas.config import DatasetConfig, ProceduralSettings


def build_generator(config: DatasetConfig) -> Generator:
    """A generator, with nothing loaded yet."""
    if isinstance(config.generator, ProceduralSettings):
        from models.generators.procedural.generator import ProceduralGenerator

        return ProceduralGenerator(config)
    # Read when the hub's library is imported. Only `fetch` goes online, and it does not come here.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from models.generators.diffusers_pair.generator import DiffusersGenerator

    return DiffusersGenerator(config)
