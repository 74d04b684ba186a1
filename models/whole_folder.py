"""A folder that appears whole or not at all, in place of an earlier one."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A new folder to write into, which takes this one's place once the block has ended well.

    An earlier folder stays as it was where the block fails. Readers see one of the two.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    earlier = making.with_name(f"{making.name}.old")
    try:
        making.mkdir()
        yield making
        for path in (*making.iterdir(), making):
            _sync(path)
        if folder.exists():
            folder.rename(earlier)
        making.rename(folder)
        _sync(folder.parent)
    except BaseException:
        if earlier.exists() and not folder.exists():
            earlier.rename(folder)
        raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
        shutil.rmtree(earlier, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
