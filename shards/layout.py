"""Where the files of a dataset lie. Nothing else spells a file's name."""

from __future__ import annotations

import re
from pathlib import Path

from schemas.sample import Split, Stage

RUN = "run.json"
GENERATOR = "generator.json"
PLAN = "plan.parquet"
MANIFEST = "manifest.parquet"
INDEX = "index.json"
CARD = "README.md"
TRUTH = "truth.parquet"
PHOTOS = "photos.parquet"
OWNERS = "owners"
QUARANTINE = "quarantine"
WHY = "why.json"
OPENINGS = "openings.jsonl"
FACEPAIRS = "facepairs.json"


_EVENTS = re.compile(r"events(-\d+-of-\d+)?\.jsonl")
# The staging folder's name begins with a dot, as do those that a file server leaves.
_DERIVED = {MANIFEST, INDEX, CARD, FACEPAIRS}
_KNOWN = {RUN, GENERATOR, PLAN, TRUTH, PHOTOS, OWNERS, QUARANTINE, OPENINGS, *_DERIVED}


def is_known(name: str) -> bool:
    """Whether something of this name belongs beside the folders of shards."""
    return name in _KNOWN or name.startswith(".") or bool(_EVENTS.fullmatch(name))


def shard_name(split: Split, number: int) -> str:
    """The name of a shard within its dataset, for example train/shard-000012."""
    return f"{split}/shard-{number:06d}"


def tar_path(dataset: Path, shard: str) -> Path:
    """The pictures of a shard."""
    return dataset / f"{shard}.tar"


def rows_path(dataset: Path, shard: str) -> Path:
    """The rows of a shard."""
    return dataset / f"{shard}.parquet"


def done_path(dataset: Path, shard: str) -> Path:
    """The file that makes a shard exist."""
    return dataset / f"{shard}.done.json"


def picture_member(sample_id: str, stage: Stage) -> str:
    """A picture's name in the tar. Readers split it at the first dot, so ids have none."""
    return f"{sample_id}.{stage}.png"


def facts_member(sample_id: str) -> str:
    """The name in the tar of what is known about a sample."""
    return f"{sample_id}.json"


def staging_name(shard: str) -> str:
    """What the folder of an attempt at a shard begins with; a dot and the attempt follow."""
    return shard.replace("/", "-")
