"""Tiny scorers in the published layouts, once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.tiny.write import write


@pytest.fixture(scope="session")
def face_score(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("facescore", tmp_path_factory.mktemp("facescore") / "published")


@pytest.fixture(scope="session")
def image_reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("imagereward", tmp_path_factory.mktemp("imagereward") / "published")
