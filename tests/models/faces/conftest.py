"""Tiny DeepFace models, and a network that nobody may reach."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from models.faces.analyser import Analyser, build_analyser
from schemas.audit import DeepFaceSettings


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> NoReturn:
        raise AssertionError(f"the network was asked for: {arguments}")

    for way in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, way, refuse)


@pytest.fixture(scope="session")
def home(tiny: Path) -> Path:
    """A DEEPFACE_HOME with tiny ONNX graphs."""
    return tiny / "deepface-onnx"


@pytest.fixture
def analyser(home: Path) -> Callable[..., Analyser]:
    """Loads an analyser with these settings."""

    def make(**settings: object) -> Analyser:
        made = build_analyser(DeepFaceSettings(**{"weights": str(home), **settings}))
        made.load()
        return made

    return make
