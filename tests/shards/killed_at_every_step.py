"""Plans and generates a small dataset again and again, killed each time one step later.

A program of its own, for test_kill.py: it imports everything once and then forks, so that a run
costs milliseconds. A step is any call that changes the dataset; a write is two steps, since it may
be cut in half. Prints a JSON line for each kill, and one with the number of steps at the end.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from shards import layout
from shards.manifest import state
from shards.plan import read_plan, shard_names
from shards.verify import verify
from workflows import generate, plan

_CHANGES = {"os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


class Killer:
    """Kills this process at one of its steps; 0 lets it live."""

    def __init__(self, folder: Path, at: int) -> None:
        self.steps, self._at, self._folder = 0, at, str(folder)
        self._write, self._fsync = os.write, os.fsync
        os.write, os.fsync = self._written, self._synced
        sys.addaudithook(self._audited)

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _audited(self, event: str, arguments: tuple[object, ...]) -> None:
        opened = event == "open" and int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)  # type: ignore[call-overload]
        if (opened or event in _CHANGES) and str(arguments[0]).startswith(self._folder):
            self._step()

    def _written(self, fd: int, data: bytes) -> int:
        self._step()
        if self.steps + 1 == self._at:
            self._write(fd, memoryview(data)[: len(data) // 2])
        self._step()
        return self._write(fd, data)

    def _synced(self, fd: int) -> None:
        self._step()
        self._fsync(fd)


def make(dataset: Path, config: Path) -> int:
    """What an operator types, twice if need be."""
    code = plan.main([str(config), "--dataset", "small", "--out", str(dataset)])
    return code or generate.main(["--here", str(dataset)])


def in_child(work: Callable[[], int]) -> int:
    """The wait status of a forked child that does some work, unheard."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        if not os.environ.get("LOUD"):
            os.dup2(null, 2)
        os._exit(work())
    return os.waitpid(child, 0)[1]


def published(dataset: Path) -> dict[str, tuple[int, bytes]]:
    """The files of every shard that exists: inode and bytes."""
    if not (dataset / layout.RUN).exists():
        return {}
    now = state(dataset, shard_names(read_plan(dataset)))
    paths = [
        path(dataset, shard)
        for shard in now.done
        for path in (layout.tar_path, layout.rows_path, layout.done_path)
    ]
    return {str(path): (path.stat().st_ino, path.read_bytes()) for path in paths}


def import_all(work: Path, config: Path) -> None:
    """What commands import while they run, so that no child has to."""
    names = work / "modules"

    def make_and_tell() -> int:
        code = make(work / "imports", config)
        names.write_text("\n".join(sys.modules))
        return code

    assert in_child(make_and_tell) == 0
    for name in names.read_text().split():
        importlib.import_module(name)


def look(dataset: Path, before: dict[str, tuple[int, bytes]]) -> dict[str, object]:
    """What a finished dataset is, and whether it still has what was published before."""
    now = published(dataset)
    return {
        "problems": [str(problem) for problem in verify(dataset, threads=1)],
        "kept": all(now.get(path) == file for path, file in before.items()),
    }


def unsound(dataset: Path) -> list[str]:
    """What a killed run left that is worse than merely not being there yet."""
    if not (dataset / layout.RUN).exists():
        return []
    harmless = ("not made yet", "incomplete", "stale")
    found = [problem for problem in verify(dataset, threads=1) if problem.kind not in harmless]
    return list(map(str, found))


def kill_making(work: Path, config: Path) -> Path:
    """Kill at the first step, the second, and so on, until a run comes through."""
    at = 0
    while True:
        at += 1
        dataset = work / f"killed-{at:04d}"
        status = in_child(lambda: (Killer(dataset, at), make(dataset, config))[1])  # noqa: B023
        if not os.WIFSIGNALED(status):
            break
        sound, before = unsound(dataset), published(dataset)
        rerun = in_child(lambda: make(dataset, config))  # noqa: B023
        told = {"at": at, "unsound": sound, "published": len(before), "rerun": rerun}
        tell("making", told | look(dataset, before) | {"dataset": str(dataset)})
    tell("making", {"steps": at - 1, "status": status, "dataset": str(dataset)})
    return dataset


def damage(dataset: Path) -> None:
    """One shard half published, another with a wrong byte, and a truth that is none."""
    layout.done_path(dataset, "train/shard-000000").unlink()
    tar = layout.tar_path(dataset, "train/shard-000001")
    tar.write_bytes(tar.read_bytes()[:-1] + b"x")
    (dataset / layout.TRUTH).write_bytes(b"junk")


def kill_mending(work: Path, whole: Path) -> None:
    """The same while what is damaged is set aside and made anew."""
    at = 0
    while True:
        at += 1
        dataset = Path(shutil.copytree(whole, work / f"mended-{at:04d}"))
        damage(dataset)
        mend = ["--here", "--mend", str(dataset)]
        status = in_child(lambda: (Killer(dataset, at), generate.main(mend))[1])  # noqa: B023
        if not os.WIFSIGNALED(status):
            break
        rerun = in_child(lambda: generate.main(mend))  # noqa: B023
        told = {"at": at, "rerun": rerun, "dataset": str(dataset)}
        tell("mending", told | look(dataset, {}))
    tell("mending", {"steps": at - 1, "status": status, "dataset": str(dataset)})


def tell(what: str, facts: dict[str, object]) -> None:
    """A line for the test."""
    print(json.dumps({"what": what, **facts}), flush=True)


if __name__ == "__main__":
    folder, preset = map(Path, sys.argv[1:])
    import_all(folder, preset)
    kill_mending(folder, kill_making(folder, preset))
