"""Heads on the Hugging Face hub: found in its cache, and pushed when somebody asks for it."""

from __future__ import annotations

import re
from pathlib import Path

from models.heads.folder import CARD, CONFIG, IDS, MODULE, WEIGHTS
from schemas.endings import CannotGoOn

FILES = (CONFIG, WEIGHTS, IDS, CARD, MODULE)
_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def is_hub_id(place: str) -> bool:
    """Whether this is a name as the hub has them: user/head."""
    return bool(_ID.fullmatch(place)) and not place.startswith(".")


def find_head(model: str, revision: str, folder: Path | None = None) -> Path:
    """The folder of a head in the hub's cache; opens no connection.

    `folder` is where it was looked for before, if not at a path like the id.
    """
    looked_at = (folder or Path(model)).absolute()
    if not is_hub_id(model):
        raise ValueError(f"{_missing(looked_at)}, or give a hub id")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                model, revision=revision, local_files_only=True, allow_patterns=list(FILES)
            )
        )
    except LocalEntryNotFoundError:
        raise ValueError(
            f"{_missing(looked_at)}; if the hub's {model} is meant, revision {revision!r} is not "
            f"in {constants.HF_HUB_CACHE}: hf download {model} --revision {revision}"
        ) from None


def _missing(looked_at: Path) -> str:
    there = "is a file and no folder" if looked_at.exists() else "no such folder"
    return f"{looked_at}: {there} of a head; name the RUN/head that relume train made"


def push_folder(folder: Path, model: str, *, private: bool, revision: str | None) -> str:
    """Upload a head's folder, making the repository where there is none; the commit's address."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import LocalTokenNotFoundError

    if not is_hub_id(model):
        raise ValueError(f"{model!r}: no hub id; give it as user/head")
    api = HfApi()
    try:
        api.create_repo(model, private=private, repo_type="model", exist_ok=True)
        if revision is not None:
            api.create_branch(model, branch=revision, repo_type="model", exist_ok=True)
        commit = api.upload_folder(
            repo_id=model,
            folder_path=folder,
            repo_type="model",
            revision=revision,
            commit_message="A head of Relume",
            allow_patterns=list(FILES),
        )
    except LocalTokenNotFoundError:
        raise ValueError(
            f"{model!r}: no token to push with; set HF_TOKEN, or: hf auth login"
        ) from None
    except Exception as error:
        # Of the hub, of the connection, of the disk: from three libraries, with no base in common.
        why = str(error).strip().split("\n")[0].rstrip(".")
        raise CannotGoOn(
            f"{model!r}: was not pushed: {why}; check the connection, HF_TOKEN and your right "
            "to write there, and push again"
        ) from error
    return str(commit.commit_url)
