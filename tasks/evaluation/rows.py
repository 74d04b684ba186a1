"""The rows of an evaluation: where their pictures are, what may be compared, and what is flagged.

Everything that can be refused before a picture is looked at is refused here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from models.heads.folder import read_config
from models.heads.head import Head
from schemas.evaluate import (
    SOURCE,
    TARGET,
    TEACHER,
    DatasetRow,
    EvaluateSettings,
    FilterRow,
    FolderRow,
    HeadRow,
    RowSettings,
)
from schemas.measure import (
    ByHead,
    Change,
    Look,
    SeenBy,
    TextureSettings,
    Unchanged,
    View,
    label_of,
)
from schemas.sample import Split, Stage
from schemas.settings import as_plain, fingerprint
from shards.encoding import sha256
from tasks.evaluation.dataset import (
    Dataset,
    check_same_prompts,
    read_dataset,
    sources_of,
)
from tasks.evaluation.heads import (
    OTHER_SOURCE,
    UNKNOWN_TRAINING,
    head_flags,
    maker_flags,
    place_of_head,
)
from tasks.features.networks import weights_of
from tasks.features.places import LookPlace, file_of, size_of
from tasks.published_pictures import Undecodable

# How a row is marked, and what that means.
OTHER_SIZE = "other size"


FLAGS = {
    OTHER_SOURCE: "a head that was trained for another source than it is used on",
    UNKNOWN_TRAINING: "a head that does not say what it was trained on: it may have seen test",
    OTHER_SIZE: "pictures of another size than the sources",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: its pictures, and what stands beside its numbers."""

    name: str
    kind: Literal["source", "target", "teacher", "head", "dataset", "folder", "filter"]
    dataset: Dataset
    stage: Stage
    pictures: str
    change: Change = field(default_factory=Unchanged)
    folder: Path | None = None
    head: Path | None = None
    flags: tuple[str, ...] = ()
    # None where it is compared with the sources and targets.
    block: str | None = None
    facts: Mapping[str, Any]
    seconds: float | None = None
    audit: Path | None = None

    def view(self, beside: Dataset) -> View:
        """The pictures as a look knows them."""
        return View(
            pictures=self.pictures,
            stage=self.stage,
            beside=beside.fingerprint,
            change=self.change,
        )

    def place(self, look: Look, beside: Dataset) -> LookPlace:
        """Where a worker finds them."""
        return LookPlace(
            look,
            dataset=str(self.dataset.folder.absolute()),
            beside=str(beside.folder.absolute()),
            folder=None if self.folder is None else str(self.folder.absolute()),
            head=None if self.head is None else str(self.head),
        )


def networks_of(settings: EvaluateSettings) -> dict[str, SeenBy]:
    """The networks by their labels; ValueError names weights that are missing, and the mend."""
    return {label_of(one): SeenBy(network=one, weights=weights_of(one)) for one in settings.network}


def implied_rows(settings: EvaluateSettings, data: Dataset, root: Path) -> list[Row]:
    """Source and target, and the teacher where there is one."""
    audit = None if settings.audit is None else root / settings.audit
    rows = [
        _of_dataset(SOURCE, "source", data, "source", audit=audit),
        _of_dataset(TARGET, "target", data, "target", audit=audit),
    ]
    if settings.teacher is not None:
        teacher = read_dataset(root / settings.teacher, settings.split, ["teacher"])
        check_same_prompts(TEACHER, teacher, data)
        rows.append(_of_dataset(TEACHER, "teacher", teacher, "teacher"))
    return rows


def further_rows(settings: EvaluateSettings, data: Dataset, root: Path) -> list[Row]:
    """Targets of other seeds; ValueError where they are not of the very same sources."""
    rows = []
    for number, place in enumerate(settings.further_targets, start=2):
        dataset = read_dataset(root / place, settings.split, ["source", "target"])
        name = f"target, seed {number}"
        check_same_prompts(name, dataset, data)
        ours, theirs = (sources_of(one) for one in (data, dataset))
        other = [one for one in ours if theirs.get(one) != ours[one]]
        if other:
            raise ValueError(
                f"further_targets: {dataset.folder} has another source of {other[0]} than "
                f"{data.folder}; plan it from the same preset with --stage.target.draw {number - 1}"
            )
        rows.append(_of_dataset(name, "dataset", dataset, "target"))
    return rows


def asked_row(row: RowSettings, data: Dataset, root: Path, split: Split) -> Row:
    """A row of the config; a filter's setting is chosen later."""
    if isinstance(row, HeadRow):
        return head_row(row, data, root)
    if isinstance(row, DatasetRow):
        dataset = read_dataset(root / row.dataset, split, [row.stage])
        check_same_prompts(row.name, dataset, data)
        audit = None if row.audit is None else root / row.audit
        made = _of_dataset(row.name, "dataset", dataset, row.stage, audit=audit)
        flags = (*_size_flag(dataset, data), *maker_flags(row, dataset, data, root))
        return replace(made, seconds=row.seconds_per_picture, flags=flags, block=row.block)
    if isinstance(row, FolderRow):
        return _folder_row(row, data, root)
    return filter_row(row, data, None)


def refuse_sizes(rows: Sequence[Row], settings: EvaluateSettings) -> None:
    """ValueError where a network that looks at places is to compare pictures of two sizes."""
    if not any(isinstance(one, TextureSettings) for one in settings.network):
        return
    for row in rows:
        if OTHER_SIZE in row.flags:
            side = row.dataset.run.config.dataset.size_px
            told = f"the sources have {side} px" if row.kind == "folder" else f"has {side} px"
            raise ValueError(
                f"row {row.name!r}: pictures of another size than the sources ({told}), which "
                "the network texture cannot compare; scale them, or leave texture out"
            )


def filter_row(row: FilterRow, data: Dataset, change: Change | None) -> Row:
    """A straw man, with its setting once that is chosen."""
    return Row(
        name=row.name,
        kind="filter",
        dataset=data,
        stage="source",
        pictures=data.fingerprint,
        change=change or Unchanged(),
        facts={"filter": row.filter, **({"setting": as_plain(change)} if change else {})},
    )


def head_row(row: HeadRow, data: Dataset, root: Path) -> Row:
    """A head's row; ValueError where it is damaged, of another version, or has seen these ids."""
    place = place_of_head(row.name, row.head, root)
    head, config = Head.from_pretrained(place), read_config(place)
    return Row(
        name=row.name,
        kind="head",
        dataset=data,
        stage="source",
        pictures=data.fingerprint,
        change=ByHead(
            weights_sha256=config.weights_sha256,
            network=fingerprint(as_plain(config.network)),
            precision=row.precision,
        ),
        head=place,
        flags=head_flags(row.name, place, head, data),
        facts={
            "weights_sha256": config.weights_sha256,
            "precision": row.precision,
            "network": config.network.kind,
            "parameters": sum(one.numel() for one in head.network.parameters()),
            "training": None if head.training is None else as_plain(head.training),
        },
        seconds=row.seconds_per_picture,
        audit=None if row.audit is None else root / row.audit,
    )


def _of_dataset(
    name: str, kind: Any, dataset: Dataset, stage: Stage, *, audit: Path | None = None
) -> Row:
    settings = dataset.run.config.stage[stage]
    model = dataset.generator.models[stage]
    generator = as_plain(dataset.run.config.generator)
    return Row(
        name=name,
        kind=kind,
        dataset=dataset,
        stage=stage,
        pictures=dataset.fingerprint,
        facts={
            "dataset": dataset.fingerprint,
            "model": model.model,
            "revision": model.revision,
            "weights": dict(model.weights),
            "steps": settings.steps,
            "guidance": settings.guidance,
            "strength": settings.strength,
            "lora": generator.get("lora"),
            "seed": dataset.run.config.seed,
        },
        audit=audit,
    )


def _folder_row(row: FolderRow, dataset: Dataset, root: Path) -> Row:
    folder = root / row.folder
    if not folder.is_dir():
        raise ValueError(f"row {row.name!r}: {folder}: is no folder; correct evaluate.row.folder")
    ids = dataset.plan["id"].to_pylist()
    files = {one: file_of(folder, one) for one in ids}
    missing = [one for one, path in files.items() if path is None]
    if missing:
        raise ValueError(
            f"row {row.name!r}: {folder} lacks {len(missing):,} of {len(ids):,} pictures, for "
            f"example {missing[0]}.png; a row has a picture for every prompt"
        )
    sums, sizes = dict[str, str](), dict[tuple[int, int], Path]()
    for one, path in files.items():
        assert path is not None
        data = path.read_bytes()
        sums[one] = sha256(data)
        # One that cannot be decoded is left out of all rows later, and counted.
        with contextlib.suppress(Undecodable):
            sizes.setdefault(size_of(data), path)
    if len(sizes) > 1:
        told = " and ".join(f"{path} has {at[0]} x {at[1]} px" for at, path in sizes.items())
        raise ValueError(f"row {row.name!r}: {told}; scale all pictures of a row alike")
    side = dataset.run.config.dataset.size_px
    return Row(
        name=row.name,
        kind="folder",
        dataset=dataset,
        stage="source",
        pictures=fingerprint(sums),
        folder=folder,
        block=row.block,
        flags=() if set(sizes) <= {(side, side)} else (OTHER_SIZE,),
        facts={"files": fingerprint(sums)},
        seconds=row.seconds_per_picture,
    )


def _size_flag(dataset: Dataset, data: Dataset) -> tuple[str, ...]:
    same = dataset.run.config.dataset.size_px == data.run.config.dataset.size_px
    return () if same else (OTHER_SIZE,)
