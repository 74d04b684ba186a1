"""A command that does not outlive whoever started it, and gets the signals that they get."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def run_to_its_end(command: Sequence[str], folder: Path) -> int:
    """Run a command in a folder and wait, also while it ends after Ctrl-C or SIGTERM; its code.

    If this process is killed outright, the command gets a SIGTERM, so that the same work is not
    begun a second time beside it.
    """
    libc, parent = ctypes.CDLL(None), os.getpid()

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent died before it was tied
            os.kill(os.getpid(), signal.SIGTERM)

    child = subprocess.Popen(command, cwd=folder, preexec_fn=tie)
    try:
        return child.wait()
    except BaseException:
        # A terminal's Ctrl-C went to both; whatever else stops us is passed on.
        child.send_signal(signal.SIGTERM)
        child.wait()
        raise
