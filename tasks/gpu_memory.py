"""How much memory the GPUs of a machine have, asked where they are."""

from __future__ import annotations

import socket
import subprocess

from schemas.endings import CannotGoOn

_ASK = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")


def smallest_gpu_bytes() -> int:
    """Memory of this machine's smallest GPU; takes none of them for itself.

    CannotGoOn where there is none, or nobody tells.
    """
    try:
        told = subprocess.run(_ASK, capture_output=True, text=True, timeout=60, check=True).stdout
        return min(int(line) for line in told.split()) << 20
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise CannotGoOn(
            f"{socket.gethostname()}: nvidia-smi does not tell how much memory its GPUs have "
            f"({type(error).__name__}); say --placement fused or two-phase"
        ) from error
