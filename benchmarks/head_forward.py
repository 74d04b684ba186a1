"""A head's forward on a processor by every path that Relume has, against the reference generator.

python -m benchmarks.head_forward --reference FOLDER [--size 512] [--runs 5]

FOLDER is a copy of the reference CycleGAN. It runs eagerly in float32 in a process of its own; ours
have its very weights, and how far their pictures are from its own is said before anything is timed.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn

from benchmarks.timing import judge, medians, say_machine
from models.heads.blocks import HeadNetwork
from models.heads.junyanz import load_generator
from models.heads.onnx_file import INPUT, OUTPUT, onnx_bytes

TARGET = 3.0
LEVELS = 127.5
PROGRAM = Path(__file__).with_name("reference_forward.py")
Forward = Callable[[], Tensor]


class Reference:
    """The other process, told to go forward once at a time, so that the peers take turns."""

    def __init__(self, folder: Path, work: Path, size_px: int) -> None:
        command = [sys.executable, str(PROGRAM), str(folder), str(work), str(size_px)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._expect("ready")

    def forward(self) -> None:
        """Once, and wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._expect("done")

    def end(self) -> None:
        """Let it end."""
        self._process.communicate()

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        # The reference says a line of its own first.
        while said and said != word:
            said = self._process.stdout.readline().strip()
        assert said == word, "the reference ended; see above"


def paths(network: HeadNetwork, picture: Tensor) -> dict[str, Forward]:
    """Every way that this machine has to put the picture through the network."""
    last = picture.to(memory_format=torch.channels_last)

    def eager(dtype: torch.dtype, *, compiled: bool = False) -> Forward:
        own = load_copy(network, dtype)
        if compiled:
            own.compile(dynamic=False)

        def run() -> Tensor:
            with torch.inference_mode():
                made: Tensor = own(last)
            return made

        return run

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        onnx_bytes(network), options, providers=["CPUExecutionProvider"]
    )
    given = {INPUT: picture.numpy()}
    return {
        "float32": eager(torch.float32),
        "float32, compiled": eager(torch.float32, compiled=True),
        "onnxruntime, float32": lambda: torch.from_numpy(session.run([OUTPUT], given)[0]),
        "bfloat16": eager(torch.bfloat16),
        "bfloat16, compiled": eager(torch.bfloat16, compiled=True),
    }


def load_copy(network: HeadNetwork, dtype: torch.dtype) -> nn.Module:
    """The same weights in this format, with their channels last."""
    own = copy.deepcopy(network).to(dtype)
    own.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return own


def main() -> int:
    """Print the table; 1 when the best path misses the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    say_machine()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        reference = Reference(arguments.reference, work, arguments.size)
        network = load_generator(work / "latest_net_G.pth")
        there = torch.load(work / "made.pth", weights_only=True)
        ours = paths(network, there["picture"])
        apart = {}
        for name, path in ours.items():
            difference = (path() - there["made"]).abs().numpy() * LEVELS
            apart[name] = (float(np.max(difference)), float(np.mean(difference)))
        seconds = medians({"reference": reference.forward, **ours}, arguments.runs)
        reference.end()
    print(f"{arguments.size} px, batch 1, {torch.get_num_threads()} threads")
    for name, value in seconds.items():
        line = f"{name:22} {1e3 * value:9,.0f} ms  {seconds['reference'] / value:5.2f} x"
        if name in apart:
            most, mean = apart[name]
            line += f"  apart by {most:.3f} levels of 255 at most, {mean:.4f} on average"
        print(line)
    best = min(ours, key=lambda name: seconds[name])
    ratio = seconds["reference"] / seconds[best]
    return 0 if judge(f"{best} against the reference", ratio, TARGET) else 1


if __name__ == "__main__":
    sys.exit(main())
