"""Downloads models from the hub: the only code in Relume that opens a connection to the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.generators.diffusers_pair.checkpoint import LOADED, find_checkpoint
from schemas.endings import CannotGoOn


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model that lies in the hub's cache now."""

    model: str
    commit: str
    folder: Path
    bytes: int


def fetch_model(model: str, revision: str) -> Fetched:
    """Bring a model into the hub's cache, whole; what is there already is not read again."""
    _download(model, revision, LOADED)
    checkpoint = find_checkpoint(model, revision)
    files = [path for name in checkpoint.components for path in checkpoint.files(name)]
    num_bytes = sum(path.stat().st_size for path in files)
    return Fetched(model, checkpoint.revision, checkpoint.folder, num_bytes)


def fetch_files(model: str, revision: str, names: Sequence[str]) -> Fetched:
    """Bring these files of a model into the hub's cache, and its weights in one form.

    That is model.safetensors, or pytorch_model.bin where the model has no other.
    """
    for weights in ("model.safetensors", "pytorch_model.bin"):
        folder = _download(model, revision, {"allow_patterns": [*names, weights]})
        if (folder / weights).exists():
            num_bytes = sum(path.stat().st_size for path in folder.iterdir())
            return Fetched(model, folder.name, folder, num_bytes)
    raise ValueError(f"{model!r}: has no weights that transformers reads; name another model")


def fetch_safetensors(model: str, revision: str, names: Sequence[str]) -> Fetched:
    """Bring these files of a model into the hub's cache, and its weights in however many files."""
    folder = _download(model, revision, {"allow_patterns": [*names, "*.safetensors"]})
    if not list(folder.glob("*.safetensors")):
        raise ValueError(f"{model!r}: has no weights in safetensors; name another model")
    num_bytes = sum(path.stat().st_size for path in folder.iterdir())
    return Fetched(model, folder.name, folder, num_bytes)


def _download(model: str, revision: str, patterns: Mapping[str, Any]) -> Path:
    """The folder that holds the revision; errors as lines."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"https://huggingface.co/{model}"
    try:
        return Path(snapshot_download(model, revision=revision, **patterns))
    except GatedRepoError:
        raise ValueError(
            f"{model!r}: is gated; accept its licence at {page}, and set HF_TOKEN"
        ) from None
    except RevisionNotFoundError:
        raise ValueError(f"{model!r}: has no revision {revision!r}; see {page}/commits") from None
    except RepositoryNotFoundError:
        raise ValueError(
            f"{model!r}: is not on the hub, or not for you; correct stage.*.model, or set HF_TOKEN"
        ) from None
    except LocalEntryNotFoundError as error:
        why = _first_line(error.__cause__ or error)
        raise CannotGoOn(
            f"{model!r}: cannot be fetched: {why}; the same command continues"
        ) from error
    except HfHubHTTPError as error:
        why = _first_line(error)
        raise CannotGoOn(
            f"{model!r}: cannot be fetched: {why}; the same command continues"
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
