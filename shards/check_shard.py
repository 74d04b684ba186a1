"""Whether one shard is what it says: its files, its rows, its members and its pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas.lease import FileFacts, ShardDone
from schemas.records import check_record
from schemas.sample import Stage, plan_schema, sample_schema
from shards import filesystem, layout, tar
from shards.encoding import read_parquet, sha256
from shards.publish import read_done

# Commands that mend a problem.
GENERATE, MEND = "relume generate DATASET", "relume generate DATASET --mend"
RETRY = "relume generate DATASET --retry-failed"
_LISTED = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it says, and the command that mends it, if one does."""

    kind: str
    where: str
    what: str
    mend: str = ""


@dataclass(slots=True)
class Found:
    """What the checks of a shard told, and what is compared across shards."""

    problems: list[Problem]
    bytes: int = 0
    hashes: pa.Table | None = None


class ShardCheck:
    """The checks of one shard."""

    def __init__(
        self,
        dataset: Path,
        shard: str,
        planned: pa.Table,
        stages: Sequence[Stage],
        fingerprint: str | None,
    ) -> None:
        self._shard, self._planned, self._stages = shard, planned, stages
        self._fingerprint = fingerprint
        self._tar, self._rows = layout.tar_path(dataset, shard), layout.rows_path(dataset, shard)
        self._done = layout.done_path(dataset, shard)
        self._found = Found([])

    def run(self) -> Found:
        """All checks, as far as the files let them."""
        try:
            return self._run()
        except OSError as error:
            # Whether it is damaged nobody knows, so nothing here would mend it.
            what = f"{error.filename}: {error.strerror}"
            self._found.problems.append(Problem("unreadable", self._shard, what))
            return self._found

    def _run(self) -> Found:
        try:
            done = read_done(self._done)
        except ValueError as error:
            return self._say("damaged", str(error))
        if done.tar is None:
            return self._say("damaged", f"{self._done.name} tells of no tar")
        if self._fingerprint not in (None, done.made_by):
            self._say("of another making", f"{self._done.name} does not name {layout.GENERATOR}")
        if not self._rows.exists() or not self._tar.exists():
            return self._found  # told as a gap
        if not self._is_right_file(self._rows, done.parquet):
            return self._found
        try:
            table = read_parquet(self._rows)
            check_record(table.schema, sample_schema(self._stages), str(self._rows))
        except ValueError as error:
            return self._say("damaged", str(error))
        self._found.hashes = table.select(["id", *(f"{s}_sha256" for s in self._stages)])
        self._check_against_plan(done, table)
        rows = [row for row in table.to_pylist() if row["status"] == "ok"]
        length = self._tar.stat().st_size
        whole = self._is_right_file(self._tar, done.tar)
        self._found.bytes = length
        if length == done.tar_bytes:
            self._check_members(rows)
            self._check_pictures(rows)
        assert whole or self._found.problems
        return self._found

    def _is_right_file(self, path: Path, wanted: FileFacts) -> bool:
        length = path.stat().st_size
        if length != wanted.bytes:
            self._say(
                "damaged", f"{path.name} has {length:,} bytes, published were {wanted.bytes:,}"
            )
            return False
        if filesystem.file_facts(path) != wanted:
            self._say("damaged", f"{path.name} is not the file of its done.json")
            return False
        return True

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
        self._say_all("orphan member", [member.name for member in held - told])
        self._say_all("missing member", [member.name for member in told - held])

    def _check_pictures(self, rows: list[dict[str, Any]]) -> None:
        wrong = []
        with self._tar.open("rb", buffering=0) as file:
            for row in rows:
                for s in self._stages:
                    data = os.pread(file.fileno(), row[f"{s}_bytes"], row[f"{s}_offset"])
                    if sha256(data) != row[f"{s}_sha256"]:
                        wrong.append(layout.picture_member(row["id"], s))
        self._say_all("damaged", wrong)

    def _say_all(self, kind: str, names: list[str]) -> None:
        if names:
            more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
            self._say(kind, f"{', '.join(sorted(names)[:_LISTED])}{more} in {self._tar.name}")

    def _say(self, kind: str, what: str) -> Found:
        self._found.problems.append(Problem(kind, self._shard, what, MEND))
        return self._found


def _place(row: dict[str, Any], what: str) -> dict[str, int]:
    return {"offset": row[f"{what}_offset"], "bytes": row[f"{what}_bytes"]}
