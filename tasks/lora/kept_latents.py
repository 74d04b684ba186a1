"""RUN/latents: what the encoder says of each picture of a phase, worked out once.

Each process encodes its share file by file, in batches of one size, so that the numbers do not
depend on when, and reads all. After a stop the files that are there stay, and the others follow.
Those of other phases are removed, and at the end of the run all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from models.stable_diffusion.encoding import encode_spread
from models.stable_diffusion.parts import Parts
from schemas.endings import ends_the_run
from schemas.settings import fingerprint
from shards import filesystem
from tasks.lora.pictures import Photos
from tasks.lora.sampling import PhotoSlot
from tasks.training.ranks import Ranks
from tasks.training.stand_ins import Unusable

FOLDER = "latents"
# Pictures that are encoded at once; another number may give other last digits.
_BATCH = 4
# Pictures of a file, 16 MB at 512 px. A run that is asked to stop has seconds left: a GPU encodes
# as many in them.
_FILE = 256
_WAYS = ("plain", "mirrored")


class KeptLatents:
    """Mean and spread (2, 4, h, w) of the latents of a phase's pictures."""

    def __init__(self, files: Sequence[Path]) -> None:
        """All files of a phase, of all processes."""
        self._files: list[Any] = [safe_open(path, "pt") for path in files]
        self.unreadable: dict[int, str] = {}
        self._place: dict[int, tuple[int, int]] = {}
        for number, file in enumerate(self._files):
            told = json.loads(file.metadata()["told"])
            self.unreadable |= {int(sample): why for sample, why in told["unreadable"].items()}
            self._place |= {sample: (number, row) for row, sample in enumerate(told["samples"])}

    def of(self, slots: list[PhotoSlot]) -> Tensor:
        """(N, 2, 4, h, w) of these slots' pictures."""
        rows = []
        for slot in slots:
            number, row = self._place[slot.sample]
            rows.append(self._files[number].get_slice(_WAYS[slot.mirrored])[row])
        return torch.stack(rows)


def keep_latents(
    run: Path, phase: int, photos: Photos, parts: Parts, ranks: Ranks, *, flip: bool, skip: bool
) -> Generator[None, None, KeptLatents]:
    """The latents of a phase, encoded now where they are not there; Unusable names a picture.

    Yields between two files, in each process as often, and returns what can then be read.
    """
    folder = run / FOLDER / f"phase-{phase:04d}"
    told = {
        "vae": {key: one for key, one in parts.identity.weights.items() if key.startswith("vae/")},
        "dtype": str(parts.vae.dtype),
        "ids": [photos.id(sample) for sample in range(len(photos))],
        "stage": photos.stage,
        "processes": ranks.count,
        "flip": flip,
        "file": _FILE,
    }
    key = fingerprint(told)
    shares = file_shares(len(photos), ranks)
    for number, mine in enumerate(shares):
        if number:
            yield
        path = folder / _name(ranks.rank, number)
        if not _is_of(path, key):
            content = _encoded(mine, photos, parts, key, flip=flip, skip=skip)
            with ends_the_run():
                filesystem.make_folder(folder)
                filesystem.replace_file(run, path, filesystem.plain(content))
    ranks.wait()
    if ranks.first:
        for other in (run / FOLDER).iterdir():
            if other != folder:
                shutil.rmtree(other)
    numbers = range(len(shares))
    return KeptLatents(
        [folder / _name(rank, one) for rank in range(ranks.count) for one in numbers]
    )


def file_shares(count: int, ranks: Ranks) -> list[range]:
    """The pictures of each file of a process; all processes have as many files."""
    together = _FILE * ranks.count
    return [
        range(begin, min(begin + together, count))[ranks.rank :: ranks.count]
        for begin in range(0, count, together)
    ]


def remove_latents(run: Path, ranks: Ranks) -> None:
    """Remove those of all phases, when no process has them open any more."""
    ranks.wait()
    folder = run / FOLDER
    if ranks.first and folder.exists():
        shutil.rmtree(folder)


def _encoded(
    samples: range, photos: Photos, parts: Parts, key: str, *, flip: bool, skip: bool
) -> bytes:
    levels: dict[int, Tensor] = {}
    unreadable: dict[int, str] = {}
    ways: dict[str, list[Tensor]] = {way: [] for way in _WAYS[: 1 + flip]}
    good: list[int] = []
    for sample in samples:
        try:
            levels[sample] = photos.levels(sample)
        except Unusable as error:
            if not skip:
                raise
            unreadable[sample] = error.why
            continue
        good.append(sample)
        if len(levels) == _BATCH:
            _encode(levels, parts, ways)
    _encode(levels, parts, ways)
    told: Mapping[str, Any] = {"samples": good, "unreadable": unreadable}
    # None at all where no picture of the file can be read.
    tensors = {way: torch.cat(rows) for way, rows in ways.items() if rows}
    return save(tensors, {"key": key, "told": json.dumps(told)})


def _encode(levels: dict[int, Tensor], parts: Parts, ways: Mapping[str, list[Tensor]]) -> None:
    """Take the pictures that wait; a last batch is filled up with its own last picture."""
    if not levels:
        return
    pictures = list(levels.values())
    batch = torch.stack(pictures + [pictures[-1]] * (_BATCH - len(pictures)))
    for way, rows in ways.items():
        shown = batch.flip(3) if way == "mirrored" else batch
        rows.append(encode_spread(parts, shown)[: len(pictures)].to("cpu", parts.vae.dtype))
    levels.clear()


def _is_of(path: Path, key: str) -> bool:
    if not path.exists():
        return False
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("key") == key


def _name(rank: int, number: int) -> str:
    return f"process-{rank:03d}-{number:04d}.safetensors"
