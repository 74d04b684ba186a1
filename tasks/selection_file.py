"""The selection file of `relume curate`: written here, and read here for every later stage.

Nothing is believed that does not fit the dataset: neither a selection made from other pictures nor
ids that its plan does not have.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from schemas.records import check_record
from schemas.selection import OF_KEY, SELECTION_SCHEMA
from shards import filesystem
from shards.encoding import parquet_bytes, read_parquet
from shards.plan import read_plan
from shards.run import read_generator

_MEND = "take one of this dataset, from relume curate"


def write_selection(path: Path, table: pa.Table, dataset: str) -> None:
    """Write a selection of the dataset with this fingerprint, in place of an older one."""
    refuse_other_file(path)
    folder = path.absolute().parent
    filesystem.make_folder(folder)
    metadata = (table.schema.metadata or {}) | {OF_KEY: dataset.encode()}
    content = filesystem.plain(parquet_bytes(table.replace_schema_metadata(metadata)))
    filesystem.replace_file(folder, path.absolute(), content)


def refuse_other_file(path: Path) -> None:
    """ValueError where something else than a selection would be replaced."""
    if not path.exists():
        return
    try:
        check_record(read_parquet(path).schema, SELECTION_SCHEMA, str(path))
    except (ValueError, OSError):
        raise ValueError(
            f"{path}: is there and is no selection; choose another --out, or remove it"
        ) from None


def read_selection(path: Path, dataset: Path) -> pa.Table:
    """The rows of a selection of this dataset; ValueError when it is of another one, or none."""
    table = read_parquet(path)
    check_record(table.schema, SELECTION_SCHEMA, str(path))
    generator = read_generator(dataset)
    made_from = (table.schema.metadata or {}).get(OF_KEY)
    # One that a person wrote need not say what it is of; then its ids have to do.
    if made_from and generator and made_from.decode() != generator.fingerprint():
        raise ValueError(f"{path}: was chosen from other pictures than those of {dataset}; {_MEND}")
    ids = table["id"].combine_chunks()
    unknown = ids.filter(pc.invert(pc.is_in(ids, value_set=read_plan(dataset)["id"].unique())))
    if len(unknown):
        raise ValueError(
            f"{path}: {len(unknown):,} of its samples are not in {dataset}, for example "
            f"{pc.min(unknown).as_py()!r}; {_MEND}"
        )
    if len(ids.unique()) < len(ids):
        twice = next(one for one in ids.value_counts().to_pylist() if one["counts"] > 1)
        raise ValueError(
            f"{path}: {twice['values']!r} has {twice['counts']} rows; one each is expected"
        )
    return table


def report_folder(audit: Path, selection: Path) -> Path:
    """Where an audit's tables and figures of the selected samples alone lie."""
    return audit / "selected" / selection.stem


def selected_ids(table: pa.Table) -> frozenset[str]:
    """The ids that a selection takes."""
    return frozenset(table.filter(table["selected"])["id"].to_pylist())
