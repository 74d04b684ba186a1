"""Tiny checkpoints, built once for all tests of the models, and the parts of one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.stable_diffusion.parts import Parts, find_parts, load_parts
from models.tiny.write import KINDS, write


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tiny checkpoint of every kind, each under its kind's name."""
    folder = tmp_path_factory.mktemp("tiny")
    for kind in KINDS:
        write(kind, folder / kind)
    return folder


@pytest.fixture(scope="session")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny Stable Diffusion."""
    return write("sd15", tmp_path_factory.mktemp("sd15") / "sd15")


@pytest.fixture(scope="session")
def parts(sd15: Path) -> Parts:
    """Its parts, which no test changes."""
    return load_parts(find_parts(str(sd15)))
