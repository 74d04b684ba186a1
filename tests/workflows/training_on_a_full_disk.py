"""Trains onto disks that fill up, makes room, and trains on.

A program of its own, for test_train.py, run in a mount namespace where it may mount a tmpfs. Prints
a JSON line for each disk, and leaves each run outside of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from workflows import cli

SIZES_KB = (48, 700, 1100, 1500)


def mount(folder: Path, *options: str) -> None:
    """Mount a tmpfs, or mount it anew with other options."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    subprocess.run(command, check=True)


def train(preset: Path, dataset: Path, run: Path) -> tuple[int, str]:
    """What a researcher types, and what is then on the screen; in a process that ends with it."""
    with tempfile.TemporaryFile() as screen:
        child = os.fork()
        if child == 0:
            os.dup2(screen.fileno(), 1)
            os.dup2(screen.fileno(), 2)
            words = [str(preset), "--data", str(dataset), "--out", str(run)]
            os._exit(cli.main(["train", *words]))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        screen.seek(0)
        return code, screen.read().decode()


def main(preset: Path, dataset: Path, work: Path) -> None:
    """One disk after the other, each with room for more."""
    torch.set_num_threads(1)
    disk = work / "disk"
    for number, size_kb in enumerate(SIZES_KB):
        mount(disk, f"size={size_kb}k")
        code, said = train(preset, dataset, disk / "run")
        last = disk / "run/state/LAST"
        saved = json.loads(last.read_text())["steps_done"] if last.exists() else 0
        mount(disk, "remount", "size=64m")
        told = {"size_kb": size_kb, "code": code, "said": said, "steps_saved": saved}
        told["rerun"], told["said_then"] = train(preset, dataset, disk / "run")
        shutil.copytree(disk / "run", work / f"run-{number}")
        subprocess.run(["umount", str(disk)], check=True)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:]))
