"""run.json and generator.json: read, published once, compared with what would make more."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.run import GeneratorRecord, Run
from schemas.settings import as_plain, fingerprint
from shards import filesystem, layout
from shards.plan import CONFIG_KEY, read_plan
from shards.publish import quarantine, read_done
from shards.record_file import (
    agree_on_record,
    differences,
    listed,
    publish_record,
    read_record,
)

_REPLAN = "the same relume plan as before sets it aside and writes the right one"


def read_run(dataset: Path) -> Run:
    """What a dataset was planned as; ValueError where nothing was."""
    path = dataset / layout.RUN
    if not path.exists():
        what = f"has no {layout.RUN}" if dataset.is_dir() else "is no folder of a dataset"
        raise ValueError(f"{dataset}: {what}; make one with relume plan --out")
    try:
        return read_record(path, Run)
    except ValueError as error:
        raise ValueError(f"{error}\n  {_REPLAN}") from None


def read_planned(dataset: Path) -> tuple[Run, pa.Table]:
    """A dataset's run and its plan; ValueError when the plan is not that run's."""
    run = read_run(dataset)
    plan = read_plan(dataset)
    if filesystem.file_facts(dataset / layout.PLAN).sha256 != run.plan.sha256:
        raise ValueError(f"{dataset / layout.PLAN}: is not the plan of {layout.RUN}; {_REPLAN}")
    config = json.loads((dataset / layout.RUN).read_bytes())["config"]
    if (plan.schema.metadata or {}).get(CONFIG_KEY) != fingerprint(config).encode():
        raise ValueError(
            f"{dataset / layout.RUN}: its settings are not those that {layout.PLAN} was made with; "
            f"{_REPLAN}"
        )
    return run, plan


def publish_run(dataset: Path, run: Run, plan: bytes) -> bool:
    """Make a planned dataset exist; False if it was there, ValueError if it is another.

    A plan or a run.json that was lost or damaged is written again, as long as the other one of the
    two says that it is the same.
    """
    path = dataset / layout.RUN
    if _plan_is_ours(dataset, plan):
        _set_aside_damaged_run(dataset)
    elif not path.exists():
        _refuse_foreign(dataset)
    if not path.exists():
        filesystem.make_folder(dataset)
        _publish_plan(dataset / layout.PLAN, plan)
        if publish_record(path, run):
            # Another `plan` may have put its own there meanwhile; whose run.json this is decides.
            _publish_plan(dataset / layout.PLAN, plan)
            return True
    before, now = as_plain(read_run(dataset)), as_plain(run)
    same = _same_rows(dataset, plan)
    if same:
        # Another version of pyarrow writes the same rows as other bytes.
        now["plan"] = before["plan"]
    fixed = ("config", "plan", "names", "prompts", "photos", "part_of")
    different = differences({key: before[key] for key in fixed}, {key: now[key] for key in fixed})
    if different:
        raise ValueError(
            f"{dataset}: belongs to another plan; choose a new folder for --out. It differs in"
            f"{listed(different)}"
        )
    return False if same else _publish_plan(dataset / layout.PLAN, plan)


def _plan_is_ours(dataset: Path, plan: bytes) -> bool:
    path = dataset / layout.PLAN
    return path.is_file() and path.read_bytes() == plan


def _set_aside_damaged_run(dataset: Path) -> None:
    """A run.json that cannot be read, or that does not belong to its plan, which is this one."""
    path = dataset / layout.RUN
    if not path.exists():
        return
    try:
        read_planned(dataset)
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        quarantine(dataset, {"kind": "files", "where": layout.RUN, "reason": reason}, [path])


def _same_rows(dataset: Path, plan: bytes) -> bool:
    """Whether the plan that is there says what this one says."""
    try:
        _, there = read_planned(dataset)
        return bool(there.equals(pq.read_table(pa.BufferReader(plan)), check_metadata=True))
    except ValueError:
        return False


def read_generator(dataset: Path) -> GeneratorRecord | None:
    """What makes the pictures; None when none was ever made."""
    path = dataset / layout.GENERATOR
    try:
        return read_record(path, GeneratorRecord) if path.exists() else None
    except ValueError as error:
        raise ValueError(f"{error}\n  relume generate {dataset} --mend sets it aside") from None


def agree_on_generator(dataset: Path, record: GeneratorRecord, *, mend: bool = False) -> list[str]:
    """Fix what makes the pictures, or agree with what is fixed.

    ValueError names what may not differ; what may differ is returned. Where generator.json was
    lost, all shards have to be of this making; when they are mended afterwards, one is enough.
    """
    path = dataset / layout.GENERATOR
    if not path.exists():
        _refuse_other_shards(dataset, record, mend=mend)
    return agree_on_record(
        path,
        record,
        "was begun with other settings, models or numerics; plan a new dataset for these",
    )


def _publish_plan(path: Path, plan: bytes) -> bool:
    """Publish plan.parquet; another one was left by a `plan` that was killed, or is damaged."""
    if path.exists():
        if path.read_bytes() == plan:
            return False
        reason = f"is not the plan of {layout.RUN}"
        why = {"kind": "files", "where": path.name, "reason": reason}
        quarantine(path.parent, why, [path])
    with contextlib.suppress(FileExistsError):
        filesystem.publish_bytes(path.parent, path, plan)
    return True


def _refuse_foreign(folder: Path) -> None:
    """A new dataset does not begin among somebody's files; a killed `plan` may have left some."""
    ours = {layout.PLAN, layout.PHOTOS, layout.QUARANTINE, filesystem.STAGING}
    if folder.is_dir():
        foreign = sorted(path.name for path in folder.iterdir() if path.name not in ours)
        if foreign:
            raise ValueError(
                f"{folder}: is no dataset and not empty, it holds {foreign[0]}; "
                "choose a new folder for --out"
            )


def makings(dataset: Path) -> dict[str, Path]:
    """The fingerprints that shards bear, each with one done.json that bears it."""
    found = {}
    for path in dataset.glob("*/*.done.json"):
        with contextlib.suppress(ValueError):  # a damaged one is told elsewhere
            found[read_done(path).made_by] = path
    return found


def _refuse_other_shards(dataset: Path, record: GeneratorRecord, *, mend: bool) -> None:
    """Where generator.json was lost, the shards still say what made them."""
    found = makings(dataset)
    right = found.pop(record.fingerprint(), None)
    if found and not (mend and right):
        raise ValueError(
            f"{next(iter(found.values()))}: was made with other settings, models or numerics, and "
            f"{layout.GENERATOR}, which would name them, is gone; take it from a backup"
        )
