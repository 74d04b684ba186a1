"""Submits work to Slurm through submitit, and prints what it would submit.

What a job does is handed in; here is only how it is asked for. The only importer of submitit.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError
from submitit.slurm.slurm import _make_sbatch_string

from schemas.place import Work
from schemas.settings import as_plain
from schemas.slurm import SlurmSettings
from shards import filesystem
from shards.encoding import json_bytes
from slurm.attempts import FOLDER
from slurm.code_copy import CODE
from slurm.requeue import Supervised

JOBS = "jobs"
SUBMITTED = "submitted.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job, or an array of jobs: one for each run."""

    name: str
    """what squeue shows"""
    comment: str
    """what scontrol shows, for an operator who wonders"""
    folder: Path
    """where code, scripts and logs of the job lie: the run, or the sweep"""
    runs: tuple[Path, ...]
    reads: tuple[Path, ...]
    """what every node has to see beside that folder"""
    settings: SlurmSettings
    at_once: int | None = None
    """how many of an array may run at once; None where it is no array"""

    def __post_init__(self) -> None:
        """ValueError for a place that Slurm would read otherwise."""
        if "%" in str(self.folder):
            raise ValueError(
                f"{self.folder}: Slurm puts a number in the place of what follows %; "
                "choose a folder without it"
            )

    @property
    def logs(self) -> Path:
        """The folder of scripts and logs, named by the job."""
        return self.folder / FOLDER / JOBS

    @property
    def list_of_runs(self) -> Path:
        """The file that tells a job of an array which run is its own.

        Another one for other runs: a job of an earlier array may be requeued by hand.
        """
        digest = hashlib.sha256("\n".join(map(str, self.runs)).encode()).hexdigest()
        return self.folder / FOLDER / f"{self.name}-{digest[:8]}.runs"

    @property
    def limits(self) -> Path:
        """The file with the settings, for the batch script."""
        return self.folder / FOLDER / f"{self.name}.json"


def sbatch_script(request: JobRequest) -> str:
    """The batch script of a job, as it is submitted."""
    count = None if request.at_once is None else len(request.runs)
    made: str = _make_sbatch_string(
        command=f"{_python(request)} -u -m submitit.core._submit {_quoted(request.logs)}",
        folder=request.logs,
        map_count=count,
        **_parameters(request),
    )
    return made


def submit(request: JobRequest, works: Sequence[Work]) -> str:
    """Submit a job that does these works, one for each run; its id."""
    filesystem.make_folder(request.logs)
    lines = "".join(f"{run}\n" for run in request.runs)
    for path, content in (
        (request.list_of_runs, lines.encode()),
        (request.limits, json_bytes(as_plain(request.settings))),
    ):
        filesystem.replace_file(request.folder / FOLDER, path, filesystem.plain(content))
    supervised = [
        Supervised(work, run, request.settings)
        for work, run in zip(works, request.runs, strict=True)
    ]
    executor = submitit.SlurmExecutor(request.logs, python=_python(request))
    executor.update_parameters(**_parameters(request))
    try:
        with _outside_any_job():
            if request.at_once is None:
                job = executor.submit(supervised[0]).job_id
            else:
                with executor.batch():
                    jobs = [executor.submit(one) for one in supervised]
                # Slurm knows an array of one by its number too, submitit does not make one.
                job = jobs[0].job_id
    except FailedJobError as error:
        raise ValueError(told_refusal(str(error), request.settings)) from None
    _note(request, job)
    return str(job)


def submitted(folder: Path) -> list[dict[str, Any]]:
    """What was submitted for a run or a sweep, the oldest first."""
    path = folder / FOLDER / SUBMITTED
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def told_refusal(said: str, settings: SlurmSettings) -> str:
    """What sbatch objects to, by the name of the setting."""
    reasons = [line.split("error:", 1)[1].strip() for line in said.splitlines() if "error:" in line]
    reason = (reasons or [said.strip() or "sbatch failed"])[-1]
    words = reason.lower()
    for word, name in (
        ("account", "account"),
        ("partition", "partition"),
        ("qos", "qos"),
        ("feature", "constraint"),
        ("time limit", "hours"),
    ):
        if word in words:
            value = getattr(settings, name)
            return f"slurm.{name} = {value!r}: Slurm refuses it: {reason}; ask the site for another"
    return f"slurm: the job is refused: {reason}; change [slurm] accordingly"


def _parameters(request: JobRequest) -> dict[str, Any]:
    settings, python = request.settings, _python(request)
    files = f"{_quoted(request.list_of_runs)} {_quoted(request.limits)}"
    parameters: dict[str, Any] = {
        "job_name": request.name,
        "comment": request.comment,
        "nodes": settings.nodes,
        "ntasks_per_node": settings.processes_per_node,
        "gpus_per_node": settings.gpus_per_node or None,
        "cpus_per_task": settings.cpus_per_task,
        "mem": None if settings.memory_gb is None else f"{int(settings.memory_gb * 1024)}M",
        "time": settings.minutes,
        "partition": settings.partition,
        "account": settings.account,
        "qos": settings.qos,
        "constraint": settings.constraint,
        "signal_delay_s": settings.save_before_end_s,
        "stderr_to_stdout": True,
        "wckey": None,
        "additional_parameters": {
            "requeue": True,
            "chdir": str(request.folder / CODE),
            **settings.options,
        },
        "srun_args": [
            "--kill-on-bad-exit=1",
            "--wait=0",  # the first rank may stay longer than the others
            # srun of 22.05 and later does not take this over from sbatch.
            f"--cpus-per-task={settings.cpus_per_task}",
        ],
        "setup": [
            *_environment(request),
            f"{python} -m slurm.batch begin {files}",
            _GO_ON,
            f"unseen=$({_LOOK} {shlex.join(map(str, _needed(request)))} | head -n 1)",
            f'[ -z "$unseen" ] || {{ {python} -m slurm.batch end {files} 1 "$unseen"; exit; }}',
        ],
        "teardown": ["code=$?", f'{python} -m slurm.batch end {files} "$code"'],
    }
    if request.at_once is not None:
        parameters["array_parallelism"] = request.at_once
    return parameters


# 3 says that nothing is left to do.
_GO_ON = 'code=$?; [ "$code" = 3 ] && exit 0; [ "$code" = 0 ] || exit "$code"'

# A rank that cannot start leaves the others waiting for it, so each node is asked before.
_LOOK = (
    'srun --overlap --chdir=/ --ntasks="$SLURM_NNODES" --ntasks-per-node=1 --cpus-per-task=1 sh -c '
    """'for path; do [ -e "$path" ] || echo "$(hostname) does not see $path"; done' sh"""
)


def _needed(request: JobRequest) -> list[Path | str]:
    """What has to be there on every node; the interpreter unless it lies in a container."""
    settings = request.settings
    python = [] if settings.wrapper else [settings.python or sys.executable]
    return [*python, request.folder / CODE, *request.reads]


def _environment(request: JobRequest) -> list[str]:
    settings = request.settings
    # Slurm signals the script as well, and it has to outlive its ranks.
    lines = ["trap '' TERM"]
    for name in settings.modules:
        load = f"module load {shlex.quote(name)}"
        lines.append(_or_told(load, f"module {name}", "modules"))
    lines += [f"export {key}={shlex.quote(value)}" for key, value in settings.environment.items()]
    lines.append(f"export PYTHONPATH={_quoted(request.folder / CODE)}")
    if settings.wrapper:
        first = settings.wrapper[0]
        lines.append(_or_told(f"command -v {shlex.quote(first)} >/dev/null", first, "wrapper"))
    else:
        python = settings.python or sys.executable
        lines.append(_or_told(f"[ -x {shlex.quote(python)} ]", python, "python"))
    return lines


def _or_told(command: str, what: str, setting: str) -> str:
    """A line that ends the script where a command fails, and says what is not on that node."""
    told = shlex.quote(f"error: {what} is not on ")
    see = shlex.quote(f", see slurm.{setting}")
    return f"{command} || {{ echo {told}$(hostname){see}; exit 1; }}"


def _python(request: JobRequest) -> str:
    settings = request.settings
    return shlex.join([*settings.wrapper, settings.python or sys.executable])


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


@contextmanager
def _outside_any_job() -> Iterator[None]:
    """Submitted from within a job, another would inherit its size, its ranks and its GPUs.

    submitit's own clean_env also drops SLURM_CONF, and so the way to the controller.
    """
    of_a_job = re.compile(
        r"SLURM_(?!CONF$).*|SUBMITIT_.*|MASTER_(ADDR|PORT)|(LOCAL_)?(RANK|WORLD_SIZE)"
    )
    taken = {name: os.environ.pop(name) for name in list(os.environ) if of_a_job.fullmatch(name)}
    try:
        yield
    finally:
        os.environ.update(taken)


def _note(request: JobRequest, job: str) -> None:
    line = {
        "job": job.partition("_")[0],
        "name": request.name,
        "submitted": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": [str(run) for run in request.runs],
        "array": request.at_once is not None,
    }
    filesystem.append_line(request.folder / FOLDER / SUBMITTED, json.dumps(line).encode())
