"""What a process does with memory that it has freed: keep it, or give it back to the system.

A request to glibc; other C libraries go on as they do.
"""

from __future__ import annotations

import contextlib
import ctypes

# Of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """For what is asked for next: a training step on a CPU would have it all mapped anew."""
    with contextlib.suppress(AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, -1)


def give_back_freed_memory() -> None:
    """To the system, which would think it still in use."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
