"""Keeps the model libraries off the network; only `relume fetch` goes there."""

from __future__ import annotations

import os


def stay_offline() -> None:
    """Let this process and its children load models from disk alone.

    Before the libraries are imported, which read this once. `local_files_only` does not do: given
    weights in an older format, transformers asks the hub for a newer one all the same.
    """
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DISABLE_SAFETENSORS_CONVERSION"):
        os.environ.setdefault(name, "1")
