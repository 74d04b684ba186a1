"""Times work on a GPU or a processor: synchronised, with its memory, and energy by NVML."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tasks.training.freed_memory import give_back_freed_memory

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Stopwatch:
    """Runs work on one device and says what it took."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._energy = _gpu_energy(device) if self._cuda else None

    def seconds(self, work: Callable[[], object], warm_ups: int, repeats: int) -> list[float]:
        """Seconds of each of so many runs after the untimed ones."""
        for _ in range(warm_ups):
            work()
        taken = []
        for _ in range(repeats):
            self._wait()
            begun = time.perf_counter()
            work()
            self._wait()
            taken.append(time.perf_counter() - begun)
        return taken

    def forget_peak(self) -> None:
        """Begin anew to watch how much memory is taken."""
        gc.collect()
        if self._cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        else:
            give_back_freed_memory()  # later work would fit into it, and seem to take none
            with contextlib.suppress(OSError):  # some containers forbid it; the peak is of the run
                _CLEAR.write_text("5")

    def peak_bytes(self) -> int:
        """The most memory since then: allocated on the GPU, or resident in this process."""
        if self._cuda:
            return int(torch.cuda.max_memory_allocated())
        line = next(one for one in _STATUS.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def joules(self) -> float | None:
        """What the GPU has used since its driver was loaded; None where nothing tells."""
        return None if self._energy is None else self._energy()

    def _wait(self) -> None:
        if self._cuda:
            torch.cuda.synchronize()


def _gpu_energy(device: torch.device) -> Callable[[], float | None] | None:
    """Asks NVML, by the GPU's own name: its number there may be another one than here."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    handle = ctypes.c_void_p()
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(uuid, ctypes.byref(handle)):
        return None

    def read() -> float | None:
        millijoules = ctypes.c_ulonglong()
        failed = nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules))
        return None if failed else millijoules.value / 1000

    return read if read() is not None else None
