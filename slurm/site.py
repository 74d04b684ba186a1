"""What Slurm says: about its partitions before a job is submitted, about jobs afterwards.

Reads scontrol and squeue, which every site has; sacct is not asked, as it needs a database. Changes
nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.endings import CannotGoOn
from schemas.mistakes import nearest
from schemas.slurm import SlurmSettings

# While a controller restarts, or is busy, its commands fail.
_PATIENCE_S = 90.0
_TIMEOUT_S = 60.0
_FIELD = re.compile(r"(?:^|\s)([A-Za-z][A-Za-z0-9/:_-]*)=(.*?)(?=\s[A-Za-z][A-Za-z0-9/:_-]*=|$)")
_NO_SUCH_JOB = "Invalid job id"
# What a job never comes back from by itself.
ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"}
    | {"OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"}
)
# While Slurm sends it a signal, a running job is SIGNALING.
_RUNNING = frozenset({"RUNNING", "SIGNALING", "STOPPED", "SUSPENDED", "RESIZING"})


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the controller knows it."""

    id: str
    state: str
    restarts: int
    preempted: bool
    reason: str
    exit_code: str
    nodes: str
    cut_off: bool = False
    """whether preemption ended it at once, as PreemptMode=CANCEL does where there is no grace"""

    @property
    def outstanding(self) -> bool:
        """Whether it runs or will run."""
        return self.state not in ENDED

    @property
    def running(self) -> bool:
        """Whether its processes are meant to go on."""
        return self.state in _RUNNING


def require_slurm() -> None:
    """ValueError on a machine that cannot submit."""
    if shutil.which("sbatch") is None:
        raise ValueError(
            "--launcher slurm: no sbatch on this machine; run it on a login node, "
            "or leave --launcher out to train here"
        )


def find_job(job: str) -> Job | None:
    """A job, or None when the controller has forgotten it, or never knew it."""
    said = _ask(["scontrol", "show", "job", "--oneliner", job])
    if said is None:
        return None
    lines = [fields_of(line) for line in said.splitlines() if line.strip()]
    # An array's id also names the rest of the array; its own tasks are asked for one by one.
    wanted = [one for one in lines if _names(one, job)]
    return _job(job, (wanted or lines)[0]) if lines else None


def fields_of(line: str) -> dict[str, str]:
    """The fields of a line of scontrol."""
    return {name: value.strip() for name, value in _FIELD.findall(line)}


def refuse_impossible(wanted: SlurmSettings) -> None:
    """ValueError for what no node of the partition could ever give."""
    partitions = {
        one["PartitionName"]: one
        for one in _lines(["scontrol", "show", "partition", "--oneliner"])
        if "PartitionName" in one
    }
    name = wanted.partition or next(
        (key for key, one in partitions.items() if one.get("Default") == "YES"), None
    )
    if name is None:
        raise ValueError(
            "slurm.partition: is missing, and this site has no default; "
            f"known here: {', '.join(sorted(partitions))}"
        )
    # Of several, Slurm takes the first that will do.
    names = name.split(",")
    for one in names:
        if one not in partitions:
            raise ValueError(
                f"slurm.partition = {name!r}: {one!r} is unknown here; "
                f"{nearest(one, list(partitions))}"
            )
    nodes = _lines(["scontrol", "show", "node", "--oneliner"])
    refused = [_refusal(wanted, one, partitions[one], nodes) for one in names]
    if all(refused):
        raise ValueError(refused[0])


def _refusal(
    wanted: SlurmSettings,
    name: str,
    partition: Mapping[str, str],
    nodes: Sequence[Mapping[str, str]],
) -> str | None:
    """What a partition could never give, or None."""
    try:
        _refuse_too_long(wanted, name, partition)
        mine = [one for one in nodes if _in(one, name)]
        if mine:
            _refuse_too_much(wanted, name, mine)
    except ValueError as error:
        return str(error)
    return None


def _refuse_too_long(wanted: SlurmSettings, name: str, partition: Mapping[str, str]) -> None:
    limit = minutes_of(partition.get("MaxTime", "UNLIMITED"))
    if limit is not None and wanted.minutes > limit:
        raise ValueError(
            f"slurm.hours = {wanted.hours:g}: partition {name} allows {limit / 60:g}; "
            "ask for less, the job goes on in another attempt"
        )


def _refuse_too_much(wanted: SlurmSettings, name: str, nodes: Sequence[Mapping[str, str]]) -> None:
    fit = list(nodes)
    for what, value, has in (
        ("gpus_per_node", wanted.gpus_per_node, _gpus),
        ("cpus_per_task", wanted.cpus_per_task * wanted.processes_per_node, _cpus),
        ("memory_gb", int((wanted.memory_gb or 0) * 1024), _memory_mb),
    ):
        most = max(has(node) for node in fit)
        fit = [node for node in fit if has(node) >= value]
        if not fit:
            told = {
                "gpus_per_node": f"slurm.gpus_per_node = {value}: a node of {name} has {most}",
                "cpus_per_task": f"slurm.cpus_per_task = {wanted.cpus_per_task}: "
                f"{wanted.processes_per_node} processes on a node make {value}, and a node of "
                f"{name} has {most} processors",
                "memory_gb": f"slurm.memory_gb = {wanted.memory_gb}: a node of {name} has "
                f"{most / 1024:g}",
            }[what]
            raise ValueError(f"{told}; ask for at most that")
    for feature in re.findall(r"[A-Za-z0-9_.-]+", wanted.constraint or ""):
        known = sorted({one for node in nodes for one in _features(node)})
        if feature not in known and not feature.isdigit():
            raise ValueError(
                f"slurm.constraint = {wanted.constraint!r}: no node of {name} has the feature "
                f"{feature!r}; {nearest(feature, known)}"
            )
    if wanted.nodes > len(fit):
        raise ValueError(
            f"slurm.nodes = {wanted.nodes}: {name} has {len(fit)} that give what is asked for; "
            "ask for at most as many"
        )


def minutes_of(limit: str) -> float | None:
    """Minutes of a time limit as Slurm writes it; None without a limit."""
    if limit in ("UNLIMITED", "INFINITE", "NONE"):
        return None
    days, _, clock = limit.rpartition("-")
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return (int(days or 0) * 24 + hours) * 60 + minutes + seconds / 60


def _names(fields: Mapping[str, str], job: str) -> bool:
    array = f"{fields.get('ArrayJobId')}_{fields.get('ArrayTaskId')}"
    return job in (fields.get("JobId"), array)


def _job(job: str, fields: Mapping[str, str]) -> Job:
    return Job(
        id=job,
        state=fields["JobState"],
        restarts=int(fields.get("Restarts", 0)),
        preempted=fields.get("PreemptTime", "None") != "None",
        reason=fields.get("Reason", ""),
        exit_code=fields.get("ExitCode", ""),
        nodes=fields.get("NodeList", ""),
        cut_off=fields.get("PreemptTime", "None") == fields.get("EndTime"),
    )


def _in(node: Mapping[str, str], partition: str) -> bool:
    return partition in node.get("Partitions", "").split(",")


def _gpus(node: Mapping[str, str]) -> int:
    found = re.findall(r"gpu(?::[^:,(]+)?:(\d+)", node.get("Gres", ""))
    return sum(map(int, found))


def _cpus(node: Mapping[str, str]) -> int:
    return int(node.get("CPUTot", 0))


def _memory_mb(node: Mapping[str, str]) -> int:
    return int(node.get("RealMemory", 0))


def _features(node: Mapping[str, str]) -> list[str]:
    features = node.get("AvailableFeatures", "(null)")
    return [] if features == "(null)" else features.split(",")


def _lines(command: Sequence[str]) -> list[dict[str, str]]:
    return [fields_of(line) for line in (_ask(command) or "").splitlines() if line.strip()]


def _ask(command: Sequence[str]) -> str | None:
    """What a command says; None for a job that is not known. Waits for a controller to be back."""
    limit = time.monotonic() + _PATIENCE_S
    while True:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
            said, code = (done.stderr or done.stdout).strip(), done.returncode
        except subprocess.TimeoutExpired:
            said, code = f"no answer in {_TIMEOUT_S:.0f} s", 1
        if code == 0:
            return done.stdout
        if _NO_SUCH_JOB in said:
            return None
        if time.monotonic() > limit:
            first = said.partition("\n")[0]
            raise CannotGoOn(f"{' '.join(command)}: {first}; ask whether slurmctld runs")
        time.sleep(1)
