"""run.json and generator.json: read, published once, compared with what would make more."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from schemas.run import GeneratorRecord, Run
from schemas.settings import as_plain, resolve
from shards import filesystem, layout
from shards.encoding import json_bytes
from shards.plan import read_plan
from shards.publish import quarantine

Record = TypeVar("Record", Run, GeneratorRecord)


def read_run(dataset: Path) -> Run:
    """What a dataset was planned as; ValueError where nothing was."""
    path = dataset / layout.RUN
    if not path.exists():
        raise ValueError(f"{dataset}: has no {layout.RUN}; make one with relume plan --out")
    return _read(path, Run)


def read_planned(dataset: Path) -> tuple[Run, pa.Table]:
    """A dataset's run and its plan; ValueError when the plan is not that run's."""
    run = read_run(dataset)
    plan = read_plan(dataset)
    if filesystem.file_facts(dataset / layout.PLAN).sha256 != run.plan.sha256:
        raise ValueError(
            f"{dataset / layout.PLAN}: is not the plan of {layout.RUN}; take it from a backup, or "
            "make it anew with relume plan into another folder and copy it here"
        )
    return run, plan


def publish_run(dataset: Path, run: Run, plan: bytes) -> bool:
    """Make a planned dataset exist; False if it was planned just so before, ValueError if not."""
    filesystem.make_folder(dataset)
    if not (dataset / layout.RUN).exists():
        _publish_plan(dataset / layout.PLAN, plan)
        if _publish(dataset / layout.RUN, run):
            return True
    before, now = as_plain(read_run(dataset)), as_plain(run)
    fixed = ("config", "plan", "names")
    different = differences({key: before[key] for key in fixed}, {key: now[key] for key in fixed})
    if different:
        raise ValueError(
            f"{dataset}: belongs to another plan, which differs in {'; '.join(different)}. "
            "Choose a new folder for --out"
        )
    return False


def read_generator(dataset: Path) -> GeneratorRecord | None:
    """What makes the pictures; None when none was ever made."""
    path = dataset / layout.GENERATOR
    return _read(path, GeneratorRecord) if path.exists() else None


def agree_on_generator(dataset: Path, record: GeneratorRecord) -> list[str]:
    """Fix what makes the pictures, or agree with what is fixed.

    ValueError names what may not differ; what may differ is returned.
    """
    if _publish(dataset / layout.GENERATOR, record):
        return []
    earlier = _read(dataset / layout.GENERATOR, GeneratorRecord)
    different = differences(earlier.must_match(), record.must_match())
    if different:
        raise ValueError(
            f"{dataset}: was begun with another generator, which differs in "
            f"{'; '.join(different)}. Plan a new dataset for this one"
        )
    return differences(earlier.may_differ(), record.may_differ())


def differences(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "") -> list[str]:
    """Each leaf that differs, by its path: `numerics.dtype: 'bfloat16', now 'float32'`."""
    found = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        where = f"{path}{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{where}.")
        elif old != new:
            found.append(f"{where}: {old!r}, now {new!r}")
    return found


def _publish_plan(path: Path, plan: bytes) -> None:
    """Publish plan.parquet; one without its run.json was left by a `plan` that was killed."""
    if path.exists() and path.read_bytes() != plan:
        why = {"kind": "files", "reason": f"{path.name} without {layout.RUN}"}
        quarantine(path.parent, why, [path])
    with contextlib.suppress(FileExistsError):
        filesystem.publish_bytes(path.parent, path, plan)


def _publish(path: Path, record: Record) -> bool:
    try:
        filesystem.publish_bytes(path.parent, path, json_bytes(as_plain(record)))
    except FileExistsError:
        return False
    return True


def _read(path: Path, kind: type[Record]) -> Record:
    try:
        return resolve(kind, json.loads(path.read_bytes()), str(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: is damaged: {error}") from None
