"""Face scores in batches beside one by one: python -m benchmarks.face_scores [--real].

One by one is what the released code does with a picture of one face: its crop, its text filled up
to 35 tokens, the network. The tiny network says what a call costs beside the arithmetic; the real
one (--real, random weights, 1.8 GB) what is left of that where arithmetic is everything. On a
processor a batch does not make arithmetic cheaper; on a GPU it fills it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import judge, medians, say_machine
from models.facescore.network import Tokens, build_scorer
from models.facescore.pixels import Picture
from models.facescore.scorer import Scorer
from models.facescore.texts import face_tokens
from models.tiny.facescore import TINY
from models.tiny.weights import seeded
from schemas.facescore import MOST_TOKENS, ScorerShape

_LEAST = 3.0


def main() -> int:
    """Print both rates for each network; whether the tiny one reaches the target."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--faces", type=int, default=256)
    options.add_argument("--batch-size", type=int, default=32)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--real", action="store_true")
    options.add_argument("--real-faces", type=int, default=8)
    asked = options.parse_args()
    torch.set_num_threads(asked.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    say_machine()
    ratio = _compare("tiny", TINY, asked.faces, asked.batch_size, asked.runs, device)
    reached = judge("tiny network, batched over one by one", ratio, _LEAST)
    if asked.real:
        faces = asked.real_faces if device == "cpu" else asked.faces
        runs = 1 if device == "cpu" else asked.runs
        ratio = _compare("real", ScorerShape(), faces, asked.batch_size, runs, device)
        if device == "cpu":
            print(f"real network on a processor, batched over one by one: {ratio:.2f} (no target)")
        else:
            reached &= judge("real network, batched over one by one", ratio, _LEAST)
    return 0 if reached else 1


def _compare(
    name: str, shape: ScorerShape, faces: int, batch_size: int, runs: int, device: str
) -> float:
    with seeded(1):
        network = build_scorer(shape).eval().to(device)
    scorer = Scorer(network, Path(), "")
    rng = np.random.default_rng(0)
    crops: list[Picture] = [
        rng.integers(0, 256, (180 + 3 * (n % 9), 150, 3), dtype=np.uint8) for n in range(faces)
    ]
    padded = _padded()

    @torch.inference_mode()
    def one_by_one() -> list[float]:
        return [
            float(network(scorer.prepared(crop)[None].to(device), padded.to(network.text.device)))
            for crop in crops
        ]

    def batched() -> list[float]:
        found: list[float] = scorer.score(crops, batch_size).tolist()
        return found

    apart = np.abs(np.subtract(one_by_one(), batched())).max()
    peers: dict[str, Callable[[], object]] = {"one by one": one_by_one, "batched": batched}
    taken = medians(peers, runs)
    for peer, seconds in taken.items():
        print(f"{name}, {peer}: {faces / seconds:,.2f} faces/s on {device}, {seconds:.2f} s")
    print(f"{name}: the two differ by at most {apart:.1e}")
    return taken["one by one"] / taken["batched"]


def _padded() -> Tokens:
    """The text filled up to 35 tokens, as the released code has it."""
    face = face_tokens()
    more = MOST_TOKENS - face.ids.shape[1]
    fill = torch.zeros(1, more, dtype=torch.long)
    return Tokens(torch.cat([face.ids, fill], 1), torch.cat([face.mask, fill], 1))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
