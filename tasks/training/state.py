"""Everything that continues a training run exactly, on the disk: whole, or the one before it.

Each process writes its own part into a folder of the step; the first one then replaces the pointer
`LAST`, so a kill or a full disk at any moment leaves the state before it valid. Only tensors,
numbers and words are stored, and nothing else is ever loaded.
"""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Mapping, Set
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from schemas.endings import ends_the_run
from shards import filesystem
from shards.encoding import json_bytes
from tasks.training.course import Position
from tasks.training.ranks import Ranks

FOLDER, LAST, SHARED = "state", "LAST", "shared.pt"
_SHARED_PARTS = {"course", "best", "left_out", "in_line"}
_OWN_PARTS = {"chance", "course", "interval"}
# The others' parts of a save that goes on are younger.
_ABANDONED_S = 3600.0


class StateFolder:
    """RUN/state."""

    def __init__(self, run: Path, ranks: Ranks) -> None:
        self._folder, self._ranks = run / FOLDER, ranks

    def exists(self) -> bool:
        """Whether there is a state to continue from."""
        return (self._folder / LAST).exists()

    def steps_done(self) -> int | None:
        """The step of the state that is there."""
        return int(self._read_last()["steps_done"]) if self.exists() else None

    def save(self, position: Position, shared: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        """Save what all processes share, told by the first, and what each has for itself."""
        name = f"step-{position.steps_done:08d}"
        folder = self._folder / name
        with ends_the_run():
            filesystem.make_folder(folder)
            self._write(folder / _own_name(self._ranks.rank), own)
            if self._ranks.first:
                self._write(folder / SHARED, shared)
        self._ranks.wait()
        if self._ranks.first:
            last = {"folder": name, "processes": self._ranks.count, **asdict(position)}
            with ends_the_run():
                filesystem.replace_file(
                    self._folder, self._folder / LAST, filesystem.plain(json_bytes(last))
                )
                filesystem.remove_old_temporaries(self._folder, _ABANDONED_S)
                for other in self._folder.glob("step-*"):
                    if other.name != name:
                        shutil.rmtree(other)

    def load(self) -> tuple[Position, Mapping[str, Any], Mapping[str, Any]]:
        """The position, what is shared and this process's own; ValueError when it does not fit."""
        last = self._read_last()
        processes = last.pop("processes")
        if processes != self._ranks.count:
            raise ValueError(
                f"{self._folder}: is the state of {processes} processes, these are "
                f"{self._ranks.count}; start as many, or begin a new run in another folder"
            )
        folder = self._folder / last.pop("folder")
        shared = _read(folder / SHARED, _SHARED_PARTS)
        own = _read(folder / _own_name(self._ranks.rank), _OWN_PARTS)
        return Position(**last), shared, own

    def _read_last(self) -> dict[str, Any]:
        path = self._folder / LAST
        try:
            last: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path}: is damaged: {error}; begin a new run") from None
        wanted = {"folder", "processes", *Position.__dataclass_fields__}
        if not isinstance(last, dict) or set(last) != wanted:
            raise ValueError(
                f"{path}: is damaged: does not say {', '.join(sorted(wanted))}; begin a new run"
            )
        return last

    def _write(self, path: Path, content: Mapping[str, Any]) -> None:
        data = io.BytesIO()
        torch.save(content, data)
        filesystem.replace_file(self._folder, path, filesystem.plain(data.getvalue()))


def _own_name(rank: int) -> str:
    return f"process-{rank:03d}.pt"


def _read(path: Path, parts: Set[str]) -> Mapping[str, Any]:
    try:
        # On the CPU first: it may have been saved on a device that is not here.
        read: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: is missing; begin a new run in another folder") from None
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path}: is damaged, or holds more than tensors and numbers and might run code; "
            "begin a new run in another folder"
        ) from None
    except (RuntimeError, EOFError, OSError) as error:
        first = str(error).partition("\n")[0]
        raise ValueError(f"{path}: is damaged: {first}; begin a new run") from None
    missing = parts - set(read) if isinstance(read, Mapping) else parts
    if missing:
        raise ValueError(f"{path}: is damaged: lacks {', '.join(sorted(missing))}; begin a new run")
    return read
