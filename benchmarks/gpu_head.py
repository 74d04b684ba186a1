"""A head on one GPU: on the device alone, and from PNG files to PNG files.

python -m benchmarks.gpu_head [--batches 1 8 16 32 64] [--runs 10] [--files 512]

The network is the published ResNet generator with random weights, at 512 px. Nothing is downloaded.
With --tiny the same road is gone in miniature on any machine, and the figures mean nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from benchmarks.timed_gpu import SIZE_PX, prepared_pictures
from benchmarks.timing import judge, say_machine
from models.heads.build import build_network
from models.heads.enhancer import Enhancer, to_levels, to_unit
from models.heads.head import Head
from schemas.enhance import EnhanceSettings
from schemas.head import ResnetSettings
from schemas.part import WHOLE
from tasks.enhance.inputs import Item
from tasks.enhance.journal import PictureJournal
from tasks.enhance_files import EnhanceFiles

DEVICE_PER_S, FILES_PER_S = 800.0, 330.0
# Arithmetic of the generator on one picture of 512 px, in TFLOP.
TFLOP = 0.396
WARM_UPS = 3
MODES = ("eager", "compiled")


def main(argv: list[str] | None = None) -> int:
    """Print the table; 1 when a target is missed, 2 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16, 32, 64])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--files", type=int, default=512)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args(argv)
    if not arguments.tiny and not torch.cuda.is_available():
        print("error: no CUDA device here; add --tiny to go the same road without", file=sys.stderr)
        return 2
    say_machine()
    on_gpu = torch.cuda.is_available()
    print(f"on {torch.cuda.get_device_name() if on_gpu else 'the processor'}")
    settings = ResnetSettings(width=4, num_blocks=1) if arguments.tiny else ResnetSettings()
    head = Head(build_network(settings, seed=0), settings)
    size_px = 64 if arguments.tiny else SIZE_PX
    best, best_mode, best_batch = 0.0, "eager", 1
    for mode in arguments.modes:
        for batch in arguments.batches:
            rate = device_rate(head, mode, batch, size_px, arguments.runs)
            if rate is None:
                print(f"{mode:9} {batch:5}  out of memory")
                continue
            print(
                f"{mode:9} {batch:5}  {rate:8.1f} pictures/s on the device{_memory()}", flush=True
            )
            if rate > best:
                best, best_mode, best_batch = rate, mode, batch
    files = files_rate(head, best_mode, best_batch, size_px, arguments.files)
    print(f"{best_mode:9} {best_batch:5}  {files:8.1f} pictures/s from PNG to PNG")
    if arguments.tiny:
        print("the road works; these figures say nothing of a head")
        return 0
    print(f"{best * TFLOP:.0f} TFLOP/s of the network's own arithmetic on the device")
    reached = [
        judge("pictures/s on the device", best, DEVICE_PER_S),
        judge("pictures/s from PNG to PNG", files, FILES_PER_S),
    ]
    return 0 if all(reached) else 1


def device_rate(head: Head, mode: str, batch: int, size_px: int, runs: int) -> float | None:
    """Pictures a second, levels to levels on the device; None where they do not fit."""
    device = _device()
    enhance = Enhancer(head.network, device, "bfloat16", compiled=mode == "compiled")
    levels = torch.from_numpy(prepared_pictures(1)[:, :size_px, :size_px]).to(device)
    pictures = levels.repeat(batch, 1, 1, 1).permute(0, 3, 1, 2)

    @torch.inference_mode()
    def forward() -> None:
        to_levels(enhance.network(to_unit(pictures)))

    try:
        return batch / _median(forward, runs)
    except torch.OutOfMemoryError:
        return None


def files_rate(head: Head, mode: str, batch: int, size_px: int, count: int) -> float:
    """Pictures a second from files to files, by what `relume enhance` runs."""
    settings = EnhanceSettings(
        device="cuda" if torch.cuda.is_available() else "cpu",
        precision="bfloat16",
        compiled=mode == "compiled",
        batch_size=batch,
    )
    enhance = head.enhancer(settings.device, settings.precision, compiled=settings.compiled)
    picture = prepared_pictures(1)[0, :size_px, :size_px]
    enhance([picture], batch)  # loads, and compiles
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder, "given.png"), Path(folder, "out")
        Image.fromarray(picture).save(given, compress_level=1)
        coders = max(2, min(16, len(os.sched_getaffinity(0))))
        files = EnhanceFiles(enhance, settings, "png", PictureJournal(out, WHOLE), coders)
        begun = time.perf_counter()
        done = list(files.run([Item(given, f"{number}.png") for number in range(count)]))
        seconds = time.perf_counter() - begun
    assert all(one.how == "made" for one in done)
    return count / seconds


def _median(work: Callable[[], object], runs: int) -> float:
    seconds = []
    for _ in range(WARM_UPS + runs):
        begun = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[WARM_UPS:])


def _memory() -> str:
    if not torch.cuda.is_available():
        return ""
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return f"  {peak:5.1f} GiB"


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    sys.exit(main())
