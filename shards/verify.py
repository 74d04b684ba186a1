"""Whether a dataset is what it says: every file, every picture, every row against the plan.

Reads everything once, a shard to a thread; sha256 and the disk are what it waits for.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from schemas.run import Run
from schemas.sample import MAY_REPEAT, SPLITS, Stage, stages_of
from shards import filesystem, layout
from shards.check_shard import GENERATE, MEND, RETRY, Problem, ShardCheck
from shards.manifest import derived_files, state
from shards.plan import shard_names, shard_rows
from shards.publish import given_up, read_done
from shards.run import read_generator, read_planned
from shards.truth import what_is_wrong_with_truth


@dataclass(frozen=True, slots=True)
class Checked:
    """How far verification is."""

    shards: int
    of: int
    bytes: int


def verify(
    dataset: Path,
    advance: Callable[[Checked], None] = lambda _: None,
    *,
    only: Collection[str] | None = None,
    fingerprint: str | None = None,
    threads: int | None = None,
) -> Iterator[Problem]:
    """Every problem of a dataset, or of some shards alone; none means it is complete and sound.

    Without a fingerprint that all shards have to bear, that of generator.json is taken.
    """
    run, plan = read_planned(dataset)
    stages = stages_of(plan.schema)
    shards = [shard for shard in shard_names(plan) if only is None or shard in only]
    yield from _gaps(dataset, shards)
    parts = dict(shard_rows(plan))
    made = _published_names(dataset, shards)
    if only is None:
        yield from _duplicates(plan)
        yield from _orphans(dataset, shards)
    if fingerprint is None:
        fingerprint = yield from _making(dataset, made)
    checked = num_bytes = 0
    hashes: list[pa.Table] = []
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        checks = [ShardCheck(dataset, shard, parts[shard], stages, fingerprint) for shard in made]
        for found in pool.map(ShardCheck.run, checks):
            yield from found.problems
            checked, num_bytes = checked + 1, num_bytes + found.bytes
            hashes += [] if found.hashes is None else [found.hashes]
            advance(Checked(checked, len(made), num_bytes))
    if hashes:
        yield from _same_pictures(pa.concat_tables(hashes), stages)
    if made and only is None:
        yield from _derived(dataset, run, shards)


def _published_names(dataset: Path, shards: Sequence[str]) -> list[str]:
    """The shards that have a done.json, whatever is in it."""
    return [shard for shard in shards if layout.done_path(dataset, shard).exists()]


def _gaps(dataset: Path, shards: Sequence[str]) -> Iterator[Problem]:
    paths = (layout.tar_path, layout.rows_path, layout.done_path)
    abandoned = given_up(dataset)
    unmade = []
    for shard in shards:
        missing = [path(dataset, shard) for path in paths if not path(dataset, shard).exists()]
        if len(missing) < len(paths):
            if missing:
                what = f"lacks {' and '.join(path.name for path in missing)}"
                yield Problem("incomplete", shard, what, GENERATE)
        elif shard in abandoned:
            yield Problem("given up", shard, abandoned[shard], RETRY)
        else:
            unmade.append(shard)
    if unmade:
        more = f", and {len(unmade) - 1:,} more" if len(unmade) > 1 else ""
        yield Problem("not made yet", unmade[0], f"is planned{more}", GENERATE)


def _orphans(dataset: Path, shards: Sequence[str]) -> Iterator[Problem]:
    paths = (layout.tar_path, layout.rows_path, layout.done_path)
    planned = {path(dataset, shard) for shard in shards for path in paths}
    for path in sorted(dataset.iterdir()):
        if path.name in SPLITS and path.is_dir():
            for inner in sorted(path.iterdir()):
                if inner not in planned and inner.name != layout.INDEX:
                    where = inner.relative_to(dataset).as_posix()
                    yield Problem("orphan", where, "is in no plan", MEND)
        elif path.name in SPLITS:
            yield Problem("orphan", path.name, "is a file where a folder of shards belongs", MEND)
        elif not layout.is_known(path.name):
            yield Problem("orphan", path.name, "is no part of a dataset; move it away")


def _making(dataset: Path, made: Sequence[str]) -> Generator[Problem, None, str | None]:
    """generator.json and truth.parquet; returns the fingerprint that shards have to bear."""
    try:
        generator = read_generator(dataset)
    except ValueError as error:
        yield Problem("damaged", layout.GENERATOR, str(error).partition("\n")[0], MEND)
        return None
    bearers = Counter(filter(None, (_made_by(dataset, shard) for shard in made)))
    most = bearers.most_common(1)[0][0] if bearers else None
    if generator is None:
        if made:
            yield Problem("incomplete", layout.GENERATOR, "is missing", GENERATE)
        return most
    fingerprint: str | None = generator.fingerprint()
    if bearers and fingerprint not in bearers:
        what = "is not what the shards were made by"
        yield Problem("damaged", layout.GENERATOR, what, MEND)
        fingerprint = most
    wrong = what_is_wrong_with_truth(dataset, generator.truth)
    if wrong:
        lost = wrong == "is missing"
        yield Problem(
            "incomplete" if lost else "damaged", layout.TRUTH, wrong, GENERATE if lost else MEND
        )
    return fingerprint


def _made_by(dataset: Path, shard: str) -> str | None:
    try:
        return read_done(layout.done_path(dataset, shard)).made_by
    except (ValueError, OSError):
        return None  # told where the shard is checked


def _duplicates(plan: pa.Table) -> Iterator[Problem]:
    counted = plan.group_by("id").aggregate([([], "count_all")])
    for row in counted.filter(pc.greater(counted.column("count_all"), 1)).to_pylist():
        what = f"{row['id']} stands there {row['count_all']} times"
        yield Problem("duplicate", layout.PLAN, what)


def _same_pictures(hashes: pa.Table, stages: Sequence[Stage]) -> Iterator[Problem]:
    """Two samples have different seeds, so equal pictures mean that one was made twice."""
    for stage in (one for one in stages if one not in MAY_REPEAT):
        column = f"{stage}_sha256"
        made = hashes.filter(pc.is_valid(hashes.column(column)))
        grouped = made.group_by(column).aggregate([("id", "list")])
        for ids in grouped.column("id_list").to_pylist():
            if len(ids) > 1:
                yield Problem("duplicate", f"{stage} picture", f"is the same in {', '.join(ids)}")


def _derived(dataset: Path, run: Run, shards: Sequence[str]) -> Iterator[Problem]:
    """The derived files are what the published shards make them."""
    for path, content in derived_files(dataset, run, state(dataset, shards)).items():
        name = path.relative_to(dataset).as_posix()
        if not path.exists():
            yield Problem("stale", name, "is missing", GENERATE)
            continue
        try:
            wanted = filesystem.facts_of(content)
        except (ValueError, OSError) as error:
            # Told where that shard is checked, with what mends it.
            yield Problem("stale", name, f"cannot be compared with the shards: {error}")
            continue
        if filesystem.file_facts(path) != wanted:
            yield Problem("stale", name, "is not what the shards say", GENERATE)
