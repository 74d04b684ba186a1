"""What made something: a hash of Relume's sources, library versions, the processor."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("workflows", "cluster", "slurm", "tasks", "models", "metrics", "shards", "schemas")
# What can change the bytes of pictures, tars or rows.
LIBRARIES = ("numpy", "pillow", "pyarrow", "pandas", "torch", "diffusers", "transformers")


@cache
def code_version() -> str:
    """A hash of the source files, since a submitted working folder has no .git.

    Read once: a process runs what it has loaded, whatever its files become.
    """
    digest = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def library_versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries that can change bytes."""
    return {"python": platform.python_version(), **_installed()}


@cache
def _installed() -> dict[str, str]:
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's model; the same plan on another one may round differently."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
