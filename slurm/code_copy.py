"""The tree as it was when a job was submitted, which is what the requeued job runs too."""

from __future__ import annotations

import shutil
from pathlib import Path

from shards.provenance import ROOMS, ROOT

CODE = "code"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


def copy_code(run: Path) -> Path:
    """Put the sources of this process into RUN/code, in the place of an earlier copy."""
    code, new = run / CODE, run / f".{CODE}.new"
    if code.resolve() == ROOT:
        return code  # it is what runs already
    shutil.rmtree(new, ignore_errors=True)
    for room in ROOMS:
        shutil.copytree(ROOT / room, new / room, ignore=_LEFT_OUT)
    shutil.copy(ROOT / "pyproject.toml", new)
    shutil.rmtree(code, ignore_errors=True)
    new.rename(code)
    return code
