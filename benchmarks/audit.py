"""Faces per second of an audit, against a loop over DeepFace.analyze and DeepFace.represent.

python -m benchmarks.audit

Both use the same loaded models, at full size with random weights, on the same pictures. The random
RetinaFace is helped to find each portrait once; see benchmarks/full_size_faces.py.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.full_size_faces import write_full_size
from benchmarks.timing import judge, medians, say_machine
from models.faces.analyser import Analyser, Picture, build_analyser
from models.faces.process import part
from models.generators.procedural.painter import paint_source
from models.generators.procedural.people import draw_people
from models.tiny.deepface import write_deepface_onnx
from schemas.audit import DEEPFACE_BORDER, DeepFaceSettings

DEEPFACE = "DeepFace.analyze + represent"
TARGET = 3.0
# Two workers share caches and memory.
SCALING_TARGET = 1.7


def portraits(count: int, size_px: int) -> list[Picture]:
    """Procedural portraits."""
    people = draw_people([f"A portrait of Name Number{n}" for n in range(count)], range(count))
    return list(paint_source(people, size_px))


def loaded(home: Path, detector: str, border: float, threads: int) -> Analyser:
    """An analyser that is ready."""
    settings: dict[str, Any] = {"detector": detector, "border": border, "threads": threads}
    analyser = build_analyser(DeepFaceSettings(weights=str(home), **settings))
    analyser.load()
    return analyser


def loop(detector: str, pictures: list[Picture]) -> None:
    """DeepFace called as its readme does."""
    deepface = part("deepface.DeepFace")
    asked: dict[str, Any] = {"detector_backend": detector, "enforce_detection": False}
    for picture in pictures:
        bgr = np.ascontiguousarray(picture[:, :, ::-1])
        deepface.analyze(bgr, actions=["age", "gender", "race"], silent=True, **asked)
        deepface.represent(bgr, model_name="ArcFace", **asked)


def speed(home: Path, detector: str, pictures: list[Picture], runs: int, threads: int) -> bool:
    """Print faces per second of all three; whether the target is reached."""
    fast = loaded(home, detector, DeepFaceSettings().border, threads)
    alike = loaded(home, detector, DEEPFACE_BORDER, threads)
    statuses = [[finding.status for finding in one.analyse(pictures)] for one in (fast, alike)]
    # An opencv cascade does not find every drawing.
    faces = statuses[0].count("ok")
    print(f"{detector}: {faces} faces in {len(pictures)} pictures; {threads} threads")
    peers: dict[str, Callable[[], object]] = {
        "relume": partial(fast.analyse, pictures),
        "relume with DeepFace's border": partial(alike.analyse, pictures),
        DEEPFACE: partial(loop, detector, pictures),
    }
    seconds = medians(peers, runs)
    for peer, median in seconds.items():
        print(f"{peer}: {median:.2f} s, {faces / median:.2f} faces/s")
    busy = {name: processor_seconds(peer) for name, peer in peers.items()}
    for peer, spent in busy.items():
        print(f"{peer}: {spent / len(pictures):.2f} s of processor time for a picture")
    ratio = busy[DEEPFACE] / busy["relume"]
    print(f"processor time of the loop against relume's: {ratio:.2f}")
    theirs = seconds[DEEPFACE]
    ratio = theirs / seconds["relume with DeepFace's border"]
    print(f"with DeepFace's border, speed against the loop: {ratio:.2f}")
    return judge("speed against the loop", theirs / seconds["relume"], TARGET)


def work(home: Path, detector: str, size_px: int, count: int, start: Any, ended: Any) -> None:
    """One worker: loads, waits for the others, and tells how long its pictures took."""
    pictures = portraits(count, size_px)
    analyser = loaded(home, detector, DeepFaceSettings().border, 1)
    analyser.analyse(pictures[:1])
    start.wait()
    begun = time.perf_counter()
    busy = processor_seconds(partial(analyser.analyse, pictures))
    ended.put((time.perf_counter() - begun, busy, peak_gb()))


def workers(home: Path, detector: str, size_px: int, count: int, number: int) -> float:
    """Faces per second of so many workers at once, each in a process and a thread of its own."""
    context = multiprocessing.get_context("spawn")
    start, ended = context.Barrier(number), context.SimpleQueue()
    given = (home, detector, size_px, count, start, ended)
    running = [context.Process(target=work, args=given) for _ in range(number)]
    for one in running:
        one.start()
    told: list[tuple[float, float, float]] = []
    for one in running:
        one.join()
        assert one.exitcode == 0
        told.append(ended.get())
    seconds, busy, peak = (max(column) for column in zip(*told, strict=True))
    rate: float = number * count / seconds
    print(
        f"{number} workers of one thread: {rate:.2f} pictures/s, "
        f"{busy / count:.2f} s of processor time for a picture, {peak:.2f} GB at most in each"
    )
    return rate


def processor_seconds(work: Callable[[], object]) -> float:
    """What this process's threads spend on it; other people's work changes it little."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def peak_gb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> int:
    """Time all of it; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--count", type=int, default=8, help="pictures")
    parser.add_argument("--size-px", type=int, default=512)
    parser.add_argument("--detector", default="retinaface", choices=["retinaface", "opencv"])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tiny", action="store_true", help="the same road with tiny graphs")
    parser.add_argument("--folder", type=Path, help="keep the 1.9 GB of graphs here")
    arguments = parser.parse_args()
    say_machine()
    with tempfile.TemporaryDirectory() as name:
        home = (arguments.folder or Path(name)) / ("tiny" if arguments.tiny else "full")
        if not home.exists():
            (write_deepface_onnx if arguments.tiny else write_full_size)(home)
        # Before this process loads models of its own.
        given = (home, arguments.detector, arguments.size_px, arguments.count)
        alone, together = (workers(*given, number) for number in (1, 2))
        pictures = portraits(arguments.count, arguments.size_px)
        reached = speed(home, arguments.detector, pictures, arguments.runs, arguments.threads)
    print(f"peak memory of this process: {peak_gb():.2f} GB")
    reached &= judge("two workers against one", together / alone, SCALING_TARGET)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
