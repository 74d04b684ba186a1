"""Runs a module of a job; it waits before a step or a shard until the test lets it go.

    brake.py FOLDER NUMBER [PYTHON] [OPTION...] -m MODULE WORD...

A rank that trains waits before its step of that number, a driver before it publishes that shard;
both count from 0. Who waits leaves its host and process in FOLDER/RESTARTS-RANK or
FOLDER/RESTARTS-PART. It goes on once Slurm has told it to stop, or FOLDER/let-go is there. So
whatever happens to a job happens at the same place, however busy the machine is.
"""

from __future__ import annotations

import os
import runpy
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

Stop = Callable[[], bool]


class Brake:
    """Holds a process at a place of its work."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number = folder, number

    def on_generation(self) -> None:
        """Hold a driver before a shard."""
        from schemas.lease import StagedShard
        from workflows.filling import Filling

        publish = Filling.publish

        def held(outcomes: Iterable[Any]) -> Iterator[Any]:
            number = 0
            for outcome in outcomes:
                if isinstance(outcome, StagedShard):
                    if number == self._number:
                        self._hold(os.environ.get("SLURM_ARRAY_TASK_ID", "0"), lambda: False)
                    number += 1
                yield outcome

        def braked(filling: Filling, outcomes: Iterable[Any], *words: Any, **named: Any) -> None:
            publish(filling, held(outcomes), *words, **named)

        Filling.publish = braked  # type: ignore[method-assign]

    def on_training(self) -> None:
        """Hold a rank before a step."""
        from workflows.run_training import RunTraining

        call, here = RunTraining.__call__, RunTraining.here

        def braked_call(work: RunTraining, place: Any, stop: Stop, saved: Any) -> Any:
            return call(work, place, self._braked(place.rank, stop), saved)

        def braked_here(work: RunTraining, processes: int, ranks: Any, stop: Stop) -> Any:
            return here(work, processes, ranks, self._braked(ranks.rank, stop))

        RunTraining.__call__ = braked_call  # type: ignore[method-assign]
        RunTraining.here = braked_here  # type: ignore[method-assign]

    def _braked(self, rank: int, stop: Stop) -> Stop:
        asked = count()  # a rank asks before each of its steps

        def held() -> bool:
            if next(asked) == self._number:
                self._hold(str(rank), stop)
            return stop()

        return held

    def _hold(self, who: str, stop: Stop) -> None:
        restarts = os.environ.get("SLURM_RESTART_COUNT", "0")
        told = self._folder / f"{restarts}-{who}"
        told.with_suffix(".new").write_text(f"{socket.gethostname()} {os.getpid()}")
        told.with_suffix(".new").rename(told)
        taken: list[bytes] = []
        while not stop() and not (self._folder / "let-go").exists():
            if (self._folder / "eat").exists() and len(taken) < 30:
                taken.append(b"x" * 100_000_000)
            time.sleep(0.05)


def main(argv: list[str]) -> None:
    """Run the module as python would."""
    folder, number, *command = argv
    module, *words = command[command.index("-m") + 1 :]
    brake = Brake(Path(folder), int(number))
    if module in ("submitit.core._submit", "workflows.train"):
        brake.on_training()
    elif module == "workflows.generate":
        brake.on_generation()
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())  # as -m has it
    main(sys.argv[1:])
