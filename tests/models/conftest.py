"""Tiny checkpoints, built once for all tests of the models."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.tiny.write import KINDS, write


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tiny checkpoint of every kind, each under its kind's name."""
    folder = tmp_path_factory.mktemp("tiny")
    for kind in KINDS:
        write(kind, folder / kind)
    return folder
