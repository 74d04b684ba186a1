"""Generates onto a disk that fills up, and onto one that becomes read-only between two links.

A program of its own, for test_faults.py, run in a mount namespace where it may mount a tmpfs.
Prints a JSON line for each fault.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from shards.owner import Owner
from shards.verify import verify
from workflows import cli

SINGLE_RUN = {"events.jsonl", "owners", "quarantine", ".staging"}


def mount(folder: Path, *options: str) -> None:
    """Mount a tmpfs, or mount it anew with other options."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    subprocess.run(command, check=True)


def make(disk: Path, config: Path, before: Callable[[], None] = lambda: None) -> tuple[int, str]:
    """What an operator types, and what is then on the screen; in a process that ends with it."""
    dataset = str(disk / "dataset")
    with tempfile.TemporaryFile() as screen:
        child = os.fork()
        if child == 0:
            os.dup2(screen.fileno(), 1)
            os.dup2(screen.fileno(), 2)
            before()
            code = cli.main(["plan", str(config), "--dataset", "small", "--out", dataset])
            os._exit(code or cli.main(["generate", "--here", dataset]))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        screen.seek(0)
        return code, screen.read().decode()


def digest(dataset: Path) -> str:
    """One hash over all files but those that tell of single runs."""
    whole = hashlib.sha256()
    for path in sorted(dataset.rglob("*")):
        if path.is_file() and path.relative_to(dataset).parts[0] not in SINGLE_RUN:
            whole.update(path.relative_to(dataset).as_posix().encode() + path.read_bytes())
    return whole.hexdigest()


def finish(disk: Path, config: Path, told: dict[str, object]) -> None:
    """The same command again, after the mend."""
    told["rerun"] = make(disk, config)[0]
    told["problems"] = [str(problem) for problem in verify(disk / "dataset")]
    told["digest"] = digest(disk / "dataset")
    subprocess.run(["umount", str(disk)], check=True)
    print(json.dumps(told), flush=True)


def full(disk: Path, config: Path, size_kb: int) -> None:
    """The disk has only so much room, then plenty."""
    mount(disk, f"size={size_kb}k")
    code, said = make(disk, config)
    mount(disk, "remount", "size=64m")
    finish(disk, config, {"fault": f"{size_kb} kB", "code": code, "said": said})


def read_only(disk: Path, config: Path, at_check: int) -> None:
    """The disk becomes read-only when the driver asks for the nth time whether it still owns."""
    mount(disk, "size=64m")
    code, said = make(disk, config, lambda: _when_asked(at_check, disk))
    mount(disk, "remount", "rw", "size=64m")
    finish(disk, config, {"fault": f"read-only at {at_check}", "code": code, "said": said})


def _when_asked(at_check: int, disk: Path) -> None:
    """Make the disk read-only at a moment when no file is open for writing."""
    checks = itertools.count(1)
    check = Owner.check

    def then_read_only(owner: Owner) -> None:
        if next(checks) == at_check:
            mount(disk, "remount", "ro")
        check(owner)

    Owner.check = then_read_only  # type: ignore[method-assign]


def main(work: Path, config: Path) -> None:
    """Each fault on a disk of its own; the last one is no fault at all."""
    for size_kb in range(4, 180, 8):
        full(work / "disk", config, size_kb)
    for at_check in (1, 2, 3, 4):
        read_only(work / "disk", config, at_check)
    full(work / "disk", config, 64_000)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
