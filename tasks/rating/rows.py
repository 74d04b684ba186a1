"""What people compare: rows of pictures, each a stage of a dataset or a plain folder."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, get_args

from PIL import Image

from schemas.sample import SPLITS, Stage
from shards import layout
from shards.reader import Reader
from shards.run import read_planned

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_NAME = re.compile(r"[^=]+")


class Row(Protocol):
    """Pictures by sample id."""

    @property
    def ids(self) -> frozenset[str]:
        """The samples that it has pictures of."""
        ...

    def picture(self, sample: str) -> Image.Image:
        """The picture of a sample, as RGB."""
        ...


@dataclass(frozen=True, slots=True)
class _Published:
    ids: frozenset[str]
    reader: Reader
    stage: Stage

    def picture(self, sample: str) -> Image.Image:
        data = self.reader.read(self.reader.position(sample), self.stage, check=True)
        return Image.open(io.BytesIO(data)).convert("RGB")


@dataclass(frozen=True, slots=True)
class _Folder:
    ids: frozenset[str]
    files: Mapping[str, Path]

    def picture(self, sample: str) -> Image.Image:
        path = self.files[sample]
        try:
            return Image.open(path).convert("RGB")
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"{path}: is no picture that can be read: {error}") from None


@contextmanager
def opened_rows(told: Mapping[str, str], split: str) -> Iterator[dict[str, Row]]:
    """Rows by name out of `DATASET:STAGE` or `FOLDER`; of datasets, the samples of a split."""
    with ExitStack() as stack:
        yield {name: _opened(name, place, split, stack) for name, place in told.items()}


def given_rows(words: tuple[str, ...]) -> dict[str, str]:
    """Places by the names of rows, out of words such as source=data/enhanced:source."""
    told: dict[str, str] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not (equals and place and _NAME.fullmatch(name)):
            raise ValueError(
                f"{word}: should be NAME=DATASET:STAGE, such as target=data/enhanced:target, or "
                "NAME=FOLDER"
            )
        if name in told:
            raise ValueError(f"{word}: a row {name!r} is there already; name them apart")
        told[name] = place
    return told


def common_samples(rows: Mapping[str, Row]) -> list[str]:
    """The ids of which every row has a picture; ValueError where there is none."""
    common = sorted(frozenset.intersection(*(row.ids for row in rows.values())))
    if not common:
        counts = ", ".join(f"{name} has {len(row.ids):,}" for name, row in rows.items())
        raise ValueError(
            f"rows: no sample has a picture in all of them ({counts}); files of a folder are named "
            "by the sample's id"
        )
    return common


def _opened(name: str, place: str, split: str, stack: ExitStack) -> Row:
    path, _, stage = place.rpartition(":")
    if stage in get_args(Stage) and (Path(path) / layout.PLAN).exists():
        dataset = Path(path)
        run, _ = read_planned(dataset)
        if stage not in run.config.dataset.stages:
            raise ValueError(
                f"{name}={place}: {dataset} has {' and '.join(run.config.dataset.stages)}"
            )
        if split not in SPLITS:
            raise ValueError(f"--split {split}: should be one of {', '.join(SPLITS)}")
        reader = stack.enter_context(Reader(dataset, split))
        found = frozenset(reader.rows["id"].to_pylist())
        return _Published(found, reader, stage)
    folder = Path(place)
    if (folder / layout.PLAN).exists():
        raise ValueError(f"{name}={place}: is a dataset; say which pictures, as {place}:target")
    if not folder.is_dir():
        raise ValueError(f"{name}={place}: is no folder of pictures, and no DATASET:STAGE")
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in PICTURES:
            if file.stem in files:
                raise ValueError(f"{file}: {files[file.stem].name} is of the same sample too")
            files[file.stem] = file
    if not files:
        raise ValueError(f"{name}={place}: has no picture ({', '.join(PICTURES)})")
    return _Folder(frozenset(files), files)
