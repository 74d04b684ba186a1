"""Trains with several processes of one machine, to which nothing happens.

    undisturbed.py COUNT CONFIG DATASET RUN [OVERRIDE...]

They are forked after torch is loaded, so sixteen cost little more than one. They meet as the ranks
of a job do.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch._dynamo  # noqa: F401  # what an optimiser would load in each of them

from schemas.overrides import parse_overrides
from schemas.place import Place
from schemas.train import TrainConfig, train_config
from tasks import train_head  # noqa: F401
from tasks.training import meeting  # noqa: F401
from tasks.training import processes as training_processes  # noqa: F401
from workflows.run_head_training import RunHeadTraining


def main(argv: list[str]) -> int:
    """Train, and wait for all of them; 1 when one has failed."""
    count, config, dataset, run = int(argv[0]), *map(Path, argv[1:4])
    work = RunHeadTraining(
        config=train_config(config, parse_overrides(TrainConfig, argv[4:])),
        dataset=dataset,
        run=run,
        selection=None,
        weights=Path("weights"),
    )
    others = []
    for rank in range(count):
        process = os.fork()
        if process == 0:
            place = Place(
                rank=rank,
                count=count,
                local_rank=rank,
                local_count=count,
                host="127.0.0.1",
                meeting=run / "meeting",
            )
            work(place, lambda: False, lambda _: None)
            sys.stdout.flush()
            os._exit(0)
        others.append(process)
    return max(os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) != 0 for one in others)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
