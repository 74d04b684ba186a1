"""How much memory a GPU has, asked where it is."""

from __future__ import annotations

from schemas.endings import CannotGoOn
from schemas.lease import Lease, Turn


class GpuMemory:
    """The worker that looks at its GPU."""

    def __init__(self, _: None) -> None:
        pass

    def setup(self) -> dict[str, str]:
        """CannotGoOn where there is none."""
        import torch

        if not torch.cuda.is_available():
            raise CannotGoOn("no CUDA device is seen by a worker that was given one; check drivers")
        return {"processor": torch.cuda.get_device_name()}

    def run(self, _: Lease, turn: Turn) -> int:
        """Its memory in bytes."""
        import torch

        with turn:
            return int(torch.cuda.get_device_properties(0).total_memory)
