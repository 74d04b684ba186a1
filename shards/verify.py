"""Whether a dataset is what it says: every file, every picture, every row against the plan.

Reads everything once, a shard to a thread; sha256 and the disk are what it waits for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.lease import ShardDone
from schemas.records import check_record
from schemas.run import Run
from schemas.sample import SPLITS, Stage, plan_schema, sample_schema, stages_of
from shards import filesystem, layout, tar
from shards.encoding import sha256
from shards.manifest import derived_files, state
from shards.plan import shard_names, shard_rows
from shards.publish import read_done
from shards.run import read_planned

NOTHING_MORE = (layout.INDEX,)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it says."""

    kind: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """How far verification is."""

    shards: int
    of: int
    bytes: int


def verify(
    dataset: Path, advance: Callable[[Checked], None] = lambda _: None, threads: int | None = None
) -> Iterator[Problem]:
    """Every problem of a dataset; none means that it is complete and sound."""
    run, plan = read_planned(dataset)
    stages = stages_of(plan.schema)
    shards = shard_names(plan)
    yield from _duplicates(plan)
    yield from _gaps_and_orphans(dataset, shards)
    parts = dict(shard_rows(plan))
    there = [shard for shard in shards if layout.done_path(dataset, shard).exists()]
    checked = num_bytes = 0
    hashes: list[pa.Table] = []
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        checks = [_ShardCheck(dataset, shard, parts[shard], stages) for shard in there]
        for found in pool.map(_ShardCheck.run, checks):
            yield from found.problems
            checked, num_bytes = checked + 1, num_bytes + found.bytes
            hashes += [] if found.hashes is None else [found.hashes]
            advance(Checked(checked, len(there), num_bytes))
    if hashes:
        yield from _same_pictures(pa.concat_tables(hashes), stages)
    yield from _derived(dataset, run, shards)


@dataclass(slots=True)
class _Found:
    problems: list[Problem]
    bytes: int = 0
    hashes: pa.Table | None = None


class _ShardCheck:
    """The checks of one shard."""

    def __init__(
        self, dataset: Path, shard: str, planned: pa.Table, stages: Sequence[Stage]
    ) -> None:
        self._shard, self._planned, self._stages = shard, planned, stages
        self._tar, self._rows = layout.tar_path(dataset, shard), layout.rows_path(dataset, shard)
        self._done = layout.done_path(dataset, shard)
        self._found = _Found([])

    def run(self) -> _Found:
        """All checks, as far as the files let them."""
        try:
            done = read_done(self._done)
        except ValueError as error:
            return self._say("damaged", str(error))
        if not self._rows.exists() or not self._tar.exists():
            return self._found  # told as a gap
        facts = filesystem.file_facts(self._tar)
        self._found.bytes = facts.bytes
        if facts != done.tar:
            self._say("damaged", f"{self._tar.name} is not the file of its done.json")
        if filesystem.file_facts(self._rows) != done.parquet:
            return self._say("damaged", f"{self._rows.name} is not the file of its done.json")
        table = pq.read_table(self._rows, partitioning=None)
        try:
            check_record(table.schema, sample_schema(self._stages), str(self._rows))
        except ValueError as error:
            return self._say("damaged", str(error))
        self._found.hashes = table.select(["id", *(f"{s}_sha256" for s in self._stages)])
        self._check_against_plan(done, table)
        rows = [row for row in table.to_pylist() if row["status"] == "ok"]
        self._check_members(rows)
        self._check_pictures(rows)
        return self._found

    def _check_against_plan(self, done: ShardDone, table: pa.Table) -> None:
        for column in plan_schema(self._stages).names:
            if column in table.column_names and not table.column(column).equals(
                self._planned.column(column)
            ):
                self._say("disagrees with the plan", f"column {column} of {self._rows.name}")
        ok = pc.sum(pc.equal(table.column("status"), "ok")).as_py() or 0
        if (done.planned, done.ok, done.failed) != (table.num_rows, ok, table.num_rows - ok):
            self._say("disagrees with its rows", f"counts of {self._done.name}")

    def _check_members(self, rows: list[dict[str, Any]]) -> None:
        """The tar holds exactly the members that rows tell of, each where and as they say."""
        told = {
            tar.Member(name=layout.picture_member(row["id"], s), **_place(row, s))
            for row in rows
            for s in self._stages
        } | {tar.Member(name=layout.facts_member(row["id"]), **_place(row, "json")) for row in rows}
        try:
            held = set(tar.members(self._tar))
        except tar.DAMAGED as error:
            self._say("damaged", f"{self._tar.name}: {error}")
            return
        for name in sorted(member.name for member in held - told):
            self._say("orphan member", f"{name} in {self._tar.name}")
        for name in sorted(member.name for member in told - held):
            self._say("missing member", f"{name} in {self._tar.name}")

    def _check_pictures(self, rows: list[dict[str, Any]]) -> None:
        with self._tar.open("rb", buffering=0) as file:
            for row in rows:
                for s in self._stages:
                    data = os.pread(file.fileno(), row[f"{s}_bytes"], row[f"{s}_offset"])
                    if sha256(data) != row[f"{s}_sha256"]:
                        self._say("damaged", layout.picture_member(row["id"], s))

    def _say(self, kind: str, what: str) -> _Found:
        self._found.problems.append(Problem(kind, self._shard, what))
        return self._found


def _place(row: dict[str, Any], what: str) -> dict[str, int]:
    return {"offset": row[f"{what}_offset"], "bytes": row[f"{what}_bytes"]}


def _gaps_and_orphans(dataset: Path, shards: Sequence[str]) -> Iterator[Problem]:
    paths = (layout.tar_path, layout.rows_path, layout.done_path)
    wanted = {path(dataset, shard): shard for shard in shards for path in paths}
    present = {
        path
        for split in SPLITS
        if (dataset / split).is_dir()
        for path in (dataset / split).iterdir()
    }
    for shard in shards:
        missing = [path(dataset, shard).name for path in paths]
        missing = [name for name in missing if dataset / shard.split("/")[0] / name not in present]
        if len(missing) == len(paths):
            yield Problem("not made yet", shard, "is planned")
        elif missing:
            yield Problem("incomplete", shard, f"lacks {' and '.join(missing)}")
    for path in sorted(present - wanted.keys()):
        if path.name not in NOTHING_MORE:
            yield Problem("orphan", path.relative_to(dataset).as_posix(), "is in no plan")


def _duplicates(plan: pa.Table) -> Iterator[Problem]:
    counted = plan.group_by("id").aggregate([([], "count_all")])
    for row in counted.filter(pc.greater(counted.column("count_all"), 1)).to_pylist():
        what = f"{row['id']} stands there {row['count_all']} times"
        yield Problem("duplicate", layout.PLAN, what)


def _same_pictures(hashes: pa.Table, stages: Sequence[Stage]) -> Iterator[Problem]:
    """Two samples have different seeds, so equal pictures mean that one was made twice."""
    for stage in stages:
        column = f"{stage}_sha256"
        made = hashes.filter(pc.is_valid(hashes.column(column)))
        grouped = made.group_by(column).aggregate([("id", "list")])
        for ids in grouped.column("id_list").to_pylist():
            if len(ids) > 1:
                yield Problem("duplicate", f"{stage} picture", f"is the same in {', '.join(ids)}")


def _derived(dataset: Path, run: Run, shards: Sequence[str]) -> Iterator[Problem]:
    """The derived files are what the published shards make them."""
    try:
        wanted = derived_files(dataset, run, state(dataset, shards))
    except (ValueError, OSError, pa.ArrowInvalid) as error:
        yield Problem("stale", layout.MANIFEST, f"cannot be compared with the shards: {error}")
        return
    for path, data in wanted.items():
        name = path.relative_to(dataset).as_posix()
        if not path.exists():
            yield Problem("stale", name, "is missing; relume generate makes it anew")
        elif path.read_bytes() != data:
            yield Problem("stale", name, "is not what the shards say; relume generate mends it")
