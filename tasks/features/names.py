"""How what was seen of a dataset's shard is called in a store of features."""

from __future__ import annotations


def stored_shard(key: str, shard: str) -> str:
    """The name in the store of what a look found in a shard of a dataset."""
    return f"{key}/{shard.replace('/', '-', 1)}"


def looked_at(stored: str) -> tuple[str, str]:
    """The look's key, and the shard of the dataset."""
    key, _, shard = stored.partition("/")
    return key, shard.replace("-", "/", 1)
