"""What DeepFace settles once for a whole process: engine, home, threads and its singletons.

Every import of DeepFace goes through here, after its settings and without its side effects.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from schemas.audit import Engine


@dataclass(slots=True)
class _Settled:
    """What this process runs DeepFace with; no engine before its first import."""

    engine: Engine | None = None
    home: Path | None = None
    threads: int = 1


_settled = _Settled()
# Packages of detectors that DeepFace only needs when it is asked for them.
_PACKAGES = {
    "mtcnn": "mtcnn",
    "fastmtcnn": "facenet-pytorch",
    "dlib": "dlib",
    "mediapipe": "mediapipe",
    "yolo": "ultralytics",
}


def settle(engine: Engine, home: Path, threads: int) -> None:
    """Settle these for this process; a ValueError tells of another engine."""
    if _settled.engine not in (None, engine):
        raise ValueError(
            f"engine = {engine!r}: this process runs DeepFace with {_settled.engine!r}, which "
            "cannot change; start another process"
        )
    if (_settled.home, _settled.threads) != (home, threads):
        _forget_models()
    _settled.engine, _settled.home, _settled.threads = engine, home, threads
    os.environ["DEEPFACE_BACKEND_ENGINE"] = engine
    os.environ["DEEPFACE_HOME"] = str(home)
    # Their own loggers print to the standard output; errors only.
    os.environ.setdefault("DEEPFACE_LOG_LEVEL", "40")
    os.environ.setdefault("RETINAFACE_LOG_LEVEL", "40")
    import cv2

    cv2.setNumThreads(threads)
    if engine == "pytorch":
        import torch

        torch.set_num_threads(threads)


def part(name: str) -> Any:
    """A module of DeepFace or of its detector, imported as settled."""
    assert _settled.engine is not None, "settle() comes first"
    # retinaface silences every warning of the process while it is imported.
    with warnings.catch_warnings():
        return import_module(name)


def model(task: str, name: str) -> Any:
    """One of DeepFace's own models, loaded by its own code and shared by the process."""
    modeling = part("deepface.modules.modeling")
    with warnings.catch_warnings(), _bounded_sessions(_settled.threads):
        try:
            return modeling.build_model(task, name)
        except (ImportError, ValueError) as error:
            absent = error if isinstance(error, ImportError) else error.__cause__
            if not isinstance(absent, ImportError):
                raise
            raise ValueError(_needs_package(name, absent)) from error


def _forget_models() -> None:
    """Drop the singletons, which are of another home or have other threads."""
    modeling = sys.modules.get("deepface.modules.modeling")
    if modeling is not None:
        vars(modeling).pop("cached_models", None)
    retinaface = sys.modules.get("retinaface.RetinaFace")
    if retinaface is not None:
        vars(retinaface).pop("model", None)


def _needs_package(name: str, error: ImportError) -> str:
    key = "yolo" if name.startswith("yolo") else name
    package = _PACKAGES.get(key, str(error.name))
    return f"detector = {name!r}: needs {package}; pip install {package}, or take 'retinaface'"


@contextmanager
def _bounded_sessions(threads: int) -> Iterator[None]:
    """Inside, onnxruntime's sessions get this many threads: DeepFace has no setting for it.

    Without it each session takes every core, and so do those of the next worker.
    """
    onnxruntime: Any = import_module("onnxruntime")

    class Bounded(onnxruntime.SessionOptions):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.intra_op_num_threads = threads
            self.inter_op_num_threads = 1

    original = onnxruntime.SessionOptions
    onnxruntime.SessionOptions = Bounded
    try:
        yield
    finally:
        onnxruntime.SessionOptions = original
