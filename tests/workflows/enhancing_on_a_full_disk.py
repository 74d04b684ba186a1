"""Enhances onto disks that fill up, makes room, and goes on.

A program of its own, for test_enhance.py, run in a mount namespace where it may mount a tmpfs.
Prints a JSON line for each disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SIZES_KB = (24, 60, 90)


def mount(folder: Path, *options: str) -> None:
    """Mount a tmpfs, or mount it anew with other options."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    subprocess.run(command, check=True)


def enhance(*words: str) -> tuple[int, str]:
    """What a person types, and what is then on the screen; in a process that ends with it."""
    command = [sys.executable, "-m", "workflows.enhance", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main(head: str, given: str, work: Path) -> None:
    """One disk after the other, each with room for more."""
    disk = work / "disk"
    here = ["--here"] if (Path(given) / "plan.parquet").exists() else []
    for size_kb in SIZES_KB:
        mount(disk, f"size={size_kb}k")
        words = [head, given, "--out", str(disk / "out"), *here]
        code, said = enhance(*words)
        mount(disk, "remount", "size=64m")
        told = {"size_kb": size_kb, "code": code, "said": said}
        told["rerun"], told["said_then"] = enhance(*words)
        files = sorted((disk / "out").rglob("*.png")) + sorted((disk / "out").rglob("*.tar"))
        told["files"] = {str(one.relative_to(disk / "out")): one.stat().st_size for one in files}
        subprocess.run(["umount", str(disk)], check=True)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
