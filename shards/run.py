"""run.json and generator.json: read, published once, compared with what would make more."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from schemas.run import GeneratorRecord, Run
from schemas.settings import as_plain, resolve
from shards import filesystem, layout
from shards.encoding import json_bytes, sha256
from shards.plan import read_plan
from shards.publish import quarantine, read_done

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
            f"{dataset / layout.PLAN}: is not the plan of {layout.RUN}; "
            "the same relume plan as before sets it aside and writes the right one"
        )
    return run, plan


def publish_run(dataset: Path, run: Run, plan: bytes) -> bool:
    """Make a planned dataset exist; False if it was there, ValueError if it is another.

    A plan that was lost or damaged is written again: it is the same, or the run's checksum says no.
    """
    if not (dataset / layout.RUN).exists():
        _refuse_foreign(dataset)
        filesystem.make_folder(dataset)
        _publish_plan(dataset / layout.PLAN, plan)
        made = _publish(dataset / layout.RUN, run)
        filesystem.remove_if_empty(dataset / filesystem.STAGING)
        if made:
            return True
    before, now = as_plain(read_run(dataset)), as_plain(run)
    fixed = ("config", "plan", "names")
    different = differences({key: before[key] for key in fixed}, {key: now[key] for key in fixed})
    if different:
        raise ValueError(
            f"{dataset}: belongs to another plan; choose a new folder for --out. It differs in"
            f"{listed(different)}"
        )
    return _publish_plan(dataset / layout.PLAN, plan)


def config_sha256(dataset: Path) -> str:
    """The checksum of a dataset's settings, as they stand in its run.json."""
    config = json.loads((dataset / layout.RUN).read_bytes())["config"]
    return sha256(json.dumps(config, sort_keys=True).encode())


def read_generator(dataset: Path) -> GeneratorRecord | None:
    """What makes the pictures; None when none was ever made."""
    path = dataset / layout.GENERATOR
    return _read(path, GeneratorRecord) if path.exists() else None


def agree_on_generator(dataset: Path, record: GeneratorRecord) -> list[str]:
    """Fix what makes the pictures, or agree with what is fixed.

    ValueError names what may not differ; what may differ is returned.
    """
    path = dataset / layout.GENERATOR
    if not path.exists():
        _refuse_other_shards(dataset, record)
    if _publish(path, record):
        return []
    earlier = _read(path, GeneratorRecord)
    if earlier.config_sha256 != record.config_sha256:
        raise ValueError(
            f"{dataset / layout.RUN}: was changed after pictures were made by it; "
            "take it from a backup, or plan a new dataset with the new settings"
        )
    different = differences(earlier.must_match(), record.must_match())
    if different:
        raise ValueError(
            f"{dataset}: was begun with other settings, models or numerics; plan a new dataset for "
            f"these. They differ in{listed(different)}"
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


def listed(items: Sequence[str]) -> str:
    """One item on the same line, several on lines of their own."""
    return f" {items[0]}" if len(items) == 1 else "".join(f"\n  {item}" for item in items)


def _publish_plan(path: Path, plan: bytes) -> bool:
    """Publish plan.parquet; another one was left by a `plan` that was killed, or is damaged."""
    if path.exists():
        if path.read_bytes() == plan:
            return False
        why = {"kind": "files", "reason": f"{path.name} is not the plan of {layout.RUN}"}
        quarantine(path.parent, why, [path])
    with contextlib.suppress(FileExistsError):
        filesystem.publish_bytes(path.parent, path, plan)
    return True


def _refuse_foreign(folder: Path) -> None:
    """A new dataset does not begin among somebody's files; a killed `plan` may have left some."""
    ours = {layout.PLAN, layout.QUARANTINE, filesystem.STAGING}
    if folder.is_dir():
        foreign = sorted(path.name for path in folder.iterdir() if path.name not in ours)
        if foreign:
            raise ValueError(
                f"{folder}: is no dataset and not empty, it holds {foreign[0]}; "
                "choose a new folder for --out"
            )


def _refuse_other_shards(dataset: Path, record: GeneratorRecord) -> None:
    """Where generator.json was lost, the shards still say what made them."""
    for path in sorted(dataset.glob("*/*.done.json")):
        if read_done(path).made_by != record.fingerprint():
            raise ValueError(
                f"{path}: was made with other settings, models or numerics, and "
                f"{layout.GENERATOR}, which would name them, is gone; take it from a backup"
            )


def _publish(path: Path, record: Record) -> bool:
    try:
        filesystem.publish_bytes(path.parent, path, json_bytes(as_plain(record)))
    except FileExistsError:
        return False
    return True


def _read(path: Path, kind: type[Record]) -> Record:
    try:
        tables = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is damaged: {error}") from None
    if not isinstance(tables, dict):
        raise ValueError(f"{path}: is damaged: no object, but {type(tables).__name__}")
    return resolve(kind, tables, str(path))
