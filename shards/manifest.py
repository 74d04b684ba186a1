"""The files derived from what is published: manifest.parquet, index.json and README.md.

They can be rebuilt at any time, also for an incomplete dataset, which then says so. The drivers of
several parts may rebuild at once; each looks again afterwards, so the last word tells everything.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.endings import CannotGoOn
from schemas.lease import ShardDone
from schemas.records import check_record
from schemas.run import Run
from schemas.sample import SPLITS, Stage, sample_schema
from shards import card, filesystem, layout
from shards.encoding import json_bytes, read_parquet, write_parquet
from shards.filesystem import Content, Sink, plain
from shards.gathering import grouped
from shards.publish import published

COMPLETE_KEY = b"relume.complete"


@dataclass(frozen=True, slots=True)
class State:
    """How far a dataset is."""

    shards: Sequence[str]
    done: Mapping[str, ShardDone]

    @property
    def complete(self) -> bool:
        """Whether every planned shard exists."""
        return len(self.done) == len(self.shards)


def state(dataset: Path, shards: Sequence[str]) -> State:
    """How far a dataset is, by its done.json files."""
    return State(shards, published(dataset, shards))


def rebuild(dataset: Path, run: Run, shards: Sequence[str]) -> State:
    """Write all derived files anew; how far the dataset is.

    CannotGoOn where rows are damaged: what this driver made exists all the same.
    """
    while True:
        now = state(dataset, shards)
        try:
            for path, content in derived_files(dataset, run, now).items():
                filesystem.replace_file(dataset, path, content)
        except ValueError as error:
            if state(dataset, shards) == now:
                raise CannotGoOn(
                    f"{error}; relume generate {dataset} --mend makes it anew, and then "
                    f"{layout.MANIFEST} too"
                ) from error
            continue  # the driver of another part has just set it aside
        if state(dataset, shards) == now:
            return now


def derived_files(dataset: Path, run: Run, now: State) -> dict[Path, Content]:
    """What the derived files are to hold."""
    files = {
        dataset / layout.MANIFEST: _manifest(dataset, now, run.config.dataset.stages),
        dataset / layout.INDEX: plain(_index(now, "")),
        dataset / layout.CARD: plain(
            card.card_text(run, now.shards, now.done, _failures(dataset, now)).encode()
        ),
    }
    for split in SPLITS:
        if any(shard.startswith(f"{split}/") for shard in now.done):
            files[dataset / split / layout.INDEX] = plain(_index(now, f"{split}/"))
    return files


def read_manifest(dataset: Path, stages: Sequence[Stage]) -> pa.Table:
    """The manifest of a dataset, checked to be one."""
    path = dataset / layout.MANIFEST
    if not path.exists():
        raise ValueError(f"{dataset}: has no {layout.MANIFEST}; make one with relume generate")
    table = read_parquet(path)
    check_record(table.schema, sample_schema(stages), str(path))
    return table


def _manifest(dataset: Path, now: State, stages: Sequence[Stage]) -> Content:
    schema = sample_schema(stages)
    facts = {**schema.metadata, COMPLETE_KEY: json.dumps(now.complete).encode()}
    paths = [layout.rows_path(dataset, shard) for shard in now.shards if shard in now.done]

    def write(sink: Sink) -> None:
        write_parquet(grouped(map(read_parquet, paths)), schema.with_metadata(facts), sink)

    return write


def _failures(dataset: Path, now: State) -> Counter[str]:
    """How many samples failed for each reason."""
    reasons: Counter[str] = Counter()
    for shard, facts in now.done.items():
        if facts.failed:
            told = read_parquet(layout.rows_path(dataset, shard), ["reason"])["reason"].to_pylist()
            reasons.update(why for why in told if why is not None)
    return reasons


def _index(now: State, prefix: str) -> bytes:
    """A wids index of the shards whose name begins with the prefix, relative to that folder."""
    shards = [shard for shard in now.shards if shard.startswith(prefix)]
    done = [now.done[shard] for shard in shards if shard in now.done]
    index: dict[str, Any] = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "complete": len(done) == len(shards),
        "shardlist": [
            {
                "url": layout.tar_path(Path(), facts.shard.removeprefix(prefix)).as_posix(),
                "nsamples": facts.ok,
                "filesize": facts.tar.bytes,
                "sha256": facts.tar.sha256,
            }
            for facts in done
            if facts.tar is not None
        ],
    }
    return json_bytes(index)
