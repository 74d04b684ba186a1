"""A head's folder on a disk: written whole or not at all, read only where every file fits.

Tensors lie in safetensors; nothing here unpickles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.torch import load as load_tensors
from torch import Tensor

from models.whole_folder import whole_folder
from schemas.head import FORMAT, VERSION, HeadConfig
from schemas.settings import resolve

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
IDS = "training_ids.safetensors"
CARD = "README.md"
MODULE = "head.py"
ONNX = "model.onnx"
_PICKLED = ("*.bin", "*.pth", "*.pt", "*.ckpt")


def write_folder(
    folder: Path, files: Mapping[str, bytes], kind: str = "head", form: str = FORMAT
) -> None:
    """Put these files into a folder, in place of one of its kind that may be there.

    `form` is the format that config.json names.
    """
    if folder.exists() and not is_replaceable(folder, form):
        raise ValueError(f"{folder}: is there and is no {kind}; name another folder, or remove it")
    with whole_folder(folder) as making:
        for name, content in files.items():
            (making / name).write_bytes(content)


def is_replaceable(folder: Path, form: str = FORMAT) -> bool:
    """Whether a folder is empty or holds a head, and so may be written over."""
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        told = json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and told.get("format") == form


def read_config(folder: Path) -> HeadConfig:
    """config.json; a ValueError lists every mistake in it."""
    path = folder / CONFIG
    try:
        told = json.loads(_read(path))
    except ValueError as error:
        if not path.exists():
            raise
        raise ValueError(f"{path}: is not JSON: {error}; get the head again") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise ValueError(
            f"{path}: is of no head of Relume (format is not {FORMAT!r}); "
            "name the folder that `relume train` wrote"
        )
    if told.get("version") != VERSION:
        raise ValueError(
            f"{path}: version = {told.get('version')!r}: this Relume reads {VERSION}; "
            "use the Relume that wrote it"
        )
    return resolve(HeadConfig, told, str(path))


def read_weights(folder: Path, config: HeadConfig) -> dict[str, Tensor]:
    """model.safetensors, if it is the file that the config is of."""
    path = folder / WEIGHTS
    content = _read(path)
    if sha256(content) != config.weights_sha256:
        raise ValueError(
            f"{path}: is not the file that {CONFIG} is of (its sha256 differs); get the head again"
        )
    try:
        return load_tensors(content)
    except SafetensorError as error:
        raise ValueError(f"{path}: is no safetensors file: {error}; get the head again") from None


def read_ids(folder: Path) -> NDArray[np.int64]:
    """The hashes in training_ids.safetensors."""
    path = folder / IDS
    try:
        hashes: NDArray[np.int64] = load_arrays(_read(path))["hashes"]
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path}: holds no hashes: {error}; get the head again") from None
    return hashes


def sha256(content: bytes) -> str:
    """Of a file's bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        others = sorted(one.name for kind in _PICKLED for one in path.parent.glob(kind))
        if path.name == WEIGHTS and others:
            raise ValueError(
                f"{path}: is missing, and {others[0]} is not read: it could execute code; "
                "ask for the head in safetensors"
            ) from None
        raise ValueError(f"{path}: is missing; get the head again") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
