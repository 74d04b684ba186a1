"""Finds a model's files, without the network and without loading them.

A model is a folder in the layout of diffusers, or a hub id whose files were fetched before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from models.checksums import sha256_of

INDEX = "model_index.json"
# A component is a model or one of these, which have settings and vocabularies but no weights.
_WITHOUT_WEIGHTS = ("scheduler", "tokenizer", "feature_extractor")
_WEIGHTS = ("diffusion_pytorch_model.safetensors", "model.safetensors")
_VOCABULARIES = {".json", ".txt", ".model"}
# What diffusers loads of a repository, which also holds the whole model once more as one file. A
# snapshot counts as whole by the same patterns that it was fetched by.
LOADED: Mapping[str, Any] = {
    "allow_patterns": [INDEX, "*/*.json", "*/*.txt", "*/*.model", "*/*.safetensors"],
    "ignore_patterns": ["*/*.fp16.*", "*/*.bf16.*", "*/*non_ema*"],
}
# What a config says of its own history, and not of the model.
_HISTORY = ("_", "transformers_version", "torch_dtype", "dtype")


@dataclass(frozen=True)
class Checkpoint:
    """A model that lies on this machine."""

    model: str
    revision: str
    folder: Path

    @cached_property
    def index(self) -> Mapping[str, Any]:
        """model_index.json: the pipeline's class, and library and class of each component."""
        return _read_json(self.folder / INDEX, self.model)

    @property
    def components(self) -> list[str]:
        """The components that this model has."""
        return sorted(
            name
            for name, made_by in self.index.items()
            if isinstance(made_by, list) and made_by[0] is not None
        )

    def files(self, component: str) -> list[Path]:
        """The files that are loaded for a component; a ValueError names one that is missing."""
        folder = self.folder / component
        if component.startswith(_WITHOUT_WEIGHTS):
            files = sorted(path for path in _inside(folder) if path.suffix in _VOCABULARIES)
            if not files:
                raise _missing(self.model, folder)
            return files
        files = [folder / "config.json", *self._weights(folder)]
        for path in files:
            if not path.exists():
                raise _missing(self.model, path)
        return files

    def sha256(self, components: Sequence[str] | None = None) -> dict[str, str]:
        """The checksum of every file that is loaded, by its path in the model's folder."""
        wanted = self.components if components is None else components
        files = [path for component in wanted for path in self.files(component)]
        sums = sha256_of(files)
        return {path.relative_to(self.folder).as_posix(): sums[path] for path in files}

    def says(self, component: str) -> Mapping[str, Any]:
        """What a component's config says of the model itself."""
        config = _read_json(self.folder / component / "config.json", self.model)
        return {key: value for key, value in config.items() if not key.startswith(_HISTORY)}

    def _weights(self, folder: Path) -> list[Path]:
        there = {path.name for path in _inside(folder)}
        for name in _WEIGHTS:
            if f"{name}.index.json" in there:
                pieces = _read_json(folder / f"{name}.index.json", self.model)["weight_map"]
                return [folder / piece for piece in sorted(set(pieces.values()))]
            if name in there:
                return [folder / name]
        raise _missing(self.model, folder / "*.safetensors")


def find_checkpoint(model: str, revision: str, setting: str = "stage.*.model") -> Checkpoint:
    """The model in this folder, or under this hub id; a ValueError says how to get it.

    `setting` is what a user corrects where it is neither.
    """
    folder = Path(model)
    if folder.is_dir():
        if not (folder / INDEX).exists():
            raise ValueError(
                f"{model!r}: has no {INDEX}, so it is no diffusers model; name the folder with one"
            )
        return Checkpoint(model, revision, folder)
    if folder.is_absolute() or model.startswith(".") or model.count("/") != 1:
        raise ValueError(f"{model!r}: no such folder, and no hub id either; correct {setting}")
    return _from_hub(model, revision)


def same_component(a: Checkpoint, b: Checkpoint, component: str) -> bool:
    """Whether a component of two models is one and the same, weight by weight."""
    if a.index.get(component) != b.index.get(component):
        return False
    if not component.startswith(_WITHOUT_WEIGHTS) and a.says(component) != b.says(component):
        return False
    ours, theirs = (
        [path for path in one.files(component) if path.name != "config.json"] for one in (a, b)
    )
    if [path.resolve() for path in ours] == [path.resolve() for path in theirs]:
        return True
    # Sizes first: most that differ need not be read for it.
    if [path.stat().st_size for path in ours] != [path.stat().st_size for path in theirs]:
        return False
    sums = sha256_of([*ours, *theirs])
    return [sums[path] for path in ours] == [sums[path] for path in theirs]


def _from_hub(model: str, revision: str) -> Checkpoint:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    cached = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"
    try:
        folder = Path(snapshot_download(model, revision=revision, local_files_only=True, **LOADED))
    except LocalEntryNotFoundError:
        raise ValueError(
            f"{model!r}: revision {revision!r} is not in {cached}; get it with: relume fetch PRESET"
        ) from None
    if not (folder / INDEX).exists():
        raise _missing(model, folder / INDEX)
    # The name of a snapshot's folder is the commit that a branch stood for when it was fetched.
    return Checkpoint(model, folder.name, folder)


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _read_json(path: Path, model: str) -> Mapping[str, Any]:
    try:
        read: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _missing(model, path) from None
    except ValueError as error:
        raise ValueError(
            f"{path}: is not JSON: {error}; get it again: relume fetch PRESET"
        ) from None
    return read


def _missing(model: str, path: Path) -> ValueError:
    return ValueError(f"{model!r}: {path} is missing; get it with: relume fetch PRESET")
