"""How a run can end early without anybody's input being wrong."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

CONTINUES = {
    errno.ENOSPC: "make room, and the same command continues",
    errno.EDQUOT: "make room, and the same command continues",
    errno.EROFS: "mount it writable, and the same command continues",
}


class CannotGoOn(RuntimeError):
    """The run ended; what is published stays, and the message says why and what to do."""


class DoesNotFit(CannotGoOn):
    """So many pictures at once are too large for this GPU; fewer may not be."""


class LostContact(CannotGoOn):
    """Another process of the same run is gone; it, and not this one, can say why."""


def told_of_disk(error: OSError) -> str:
    """A failure of a filesystem in one line: the file, what happened, and the mend."""
    path = f"{error.filename}: " if error.filename else ""
    mend = CONTINUES.get(error.errno or 0, "the same command continues once that is mended")
    return f"{path}{os.strerror(error.errno or 0)}; nothing published is lost; {mend}"


@contextmanager
def ends_the_run() -> Iterator[None]:
    """Where a dataset cannot be written no other lease can be either."""
    try:
        yield
    except OSError as error:
        raise CannotGoOn(told_of_disk(error)) from error
