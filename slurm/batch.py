"""What the batch script of a job calls before and after its ranks: `python -m slurm.batch`.

    begin RUNS LIMITS          notes the attempt; 0 go on, 3 nothing is left to do, 1 given up
    end RUNS LIMITS CODE [WHY] notes how the ranks ended, or why they were not started, and asks for
                               another attempt if it is worth it

RUNS is a file with the folder of a run on each line, in the order of a job array. Starts in a
fraction of a second, so it imports neither torch nor a task.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.settings import resolve
from schemas.slurm import SlurmSettings
from slurm.attempts import DONE, FOLDER, Attempts, why_not_again
from slurm.requeue import ERRORS, Incarnation, again_or_give_up
from slurm.site import find_job

GO_ON, GIVEN_UP, NOTHING_LEFT = 0, 1, 3


def begin(run: Path, limits: SlurmSettings, incarnation: Incarnation) -> int:
    """Note that an attempt begins, unless there is nothing to do or nothing to hope for."""
    attempts = Attempts(run)
    earlier = attempts.all()
    if earlier and earlier[-1].ended in DONE:
        print(f"{run}: is {earlier[-1].ended} already; nothing is trained again", flush=True)
        return NOTHING_LEFT
    why = why_not_again([one for one in earlier if one.job == incarnation.job], limits)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    attempt = attempts.begin(incarnation.job, incarnation.restarts, incarnation.nodes, now)
    number = incarnation.restarts + 1
    print(f"attempt {number} on {incarnation.nodes}, from step {attempt.from_step}", flush=True)
    if why is not None:
        attempts.end(attempt, "given up", why)
        print(f"error: {run}: given up: {why}", file=sys.stderr, flush=True)
        return GIVEN_UP
    return GO_ON


def end(
    run: Path, limits: SlurmSettings, incarnation: Incarnation, code: int, unseen: str = ""
) -> int:
    """Note how the ranks ended, or what a node did not see before; the exit code of the job."""
    attempts = Attempts(run)
    attempt = attempts.find(incarnation.job, incarnation.restarts)
    if attempt.ended in DONE:
        return 0
    if attempt.ended != "lost":  # the first rank has decided already
        return code or 1
    job = find_job(incarnation.job)
    if job is None or not (job.running or job.cut_off) or job.restarts > incarnation.restarts:
        return code or 1  # cancelled or requeued while the ranks ended
    if unseen:
        why, wrong_input = f"{unseen}; use a disk that all nodes see, or leave that node out", False
    else:
        why, wrong_input = last_words(run, incarnation, code)
    if job.preempted:
        attempt = attempts.end(attempt, "preempted", "before it could save")
    elif wrong_input:
        attempts.end(attempt, "given up", why)
        print(f"error: {run}: {why}; not tried again", file=sys.stderr, flush=True)
        return 2
    else:
        attempt = attempts.end(attempt, "failed", why)
        print(f"error: {run}: {why}", file=sys.stderr, flush=True)
    again_or_give_up(attempts, attempt, incarnation, limits)
    return code or 1


def last_words(run: Path, incarnation: Incarnation, code: int) -> tuple[str, bool]:
    """What the ranks of an attempt died of, and whether that is wrong input."""
    name = f"{incarnation.job}.{incarnation.restarts}-rank-*.json"
    words: list[dict[str, Any]] = [
        json.loads(path.read_bytes()) for path in (run / FOLDER / ERRORS).glob(name)
    ]
    # One that says what is wrong, rather than one that only lost the others.
    words.sort(key=lambda one: (not one["clear"], one["lost"], one["time"]))
    killed = code - 128 if code > 128 else 0
    # Where one fails, srun ends the others: their signal says nothing.
    if killed and all(one["lost"] for one in words):
        perhaps = ", perhaps out of memory (slurm.memory_gb)" if killed == 9 else ""
        return f"a process was ended by signal {killed}{perhaps}", False
    if words:
        first = words[0]
        return f"rank {first['rank']} on {first['host']}: {first['error']}", first["wrong_input"]
    return f"its processes ended with code {code} before they worked; see its log", False


def main(argv: Sequence[str]) -> int:
    """Called by the batch script alone."""
    what, runs, limits_file, *rest = argv
    incarnation = Incarnation.here(os.environ)
    run = Path(Path(runs).read_text().splitlines()[incarnation.index])
    plain = json.loads(Path(limits_file).read_bytes())
    limits: SlurmSettings = resolve(SlurmSettings, plain, limits_file)
    if what == "begin":
        return begin(run, limits, incarnation)
    return end(run, limits, incarnation, int(rest[0]), *rest[1:])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
