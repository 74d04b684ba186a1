"""How a job is asked for on Slurm: the `[slurm]` section of a preset.

Nothing here changes what a job computes, but for the number of processes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Gt, Le

from schemas.overrides import merged
from schemas.settings import (
    FILLED,
    NON_NEGATIVE,
    POSITIVE,
    read_toml,
    resolve,
    settings,
)


@settings
class SlurmSettings:
    """One job: its place, its time, and how it is begun and begun again."""

    nodes: Annotated[int, POSITIVE, Le(4096)] = 1
    """nodes that work together"""
    gpus_per_node: Annotated[int, NON_NEGATIVE, Le(64)] = 4
    """GPUs to ask for on each node"""
    tasks_per_node: Annotated[int, POSITIVE, Le(256)] | None = None
    """processes on each node; one per GPU without it"""
    cpus_per_task: Annotated[int, POSITIVE, Le(1024)] = 8
    """processors for each process and the readers it starts"""
    memory_gb: Annotated[float, POSITIVE] | None = None
    """memory of each node; the partition's default without it"""
    hours: Annotated[float, Gt(0), Le(24 * 365)] = 12.0
    """time limit of one attempt; what is not done by then goes on in the next"""
    partition: Annotated[str, FILLED] | None = None
    """partition; the site's default without it"""
    account: Annotated[str, FILLED] | None = None
    """account that pays"""
    qos: Annotated[str, FILLED] | None = None
    """quality of service"""
    constraint: Annotated[str, FILLED] | None = None
    """features that nodes must have, as Slurm writes them: a100&nvlink"""
    modules: tuple[Annotated[str, FILLED], ...] = ()
    """environment modules to load, in this order"""
    environment: dict[str, str] = field(default_factory=dict)
    """variables to set, for example NCCL_SOCKET_IFNAME"""
    wrapper: tuple[Annotated[str, FILLED], ...] = ()
    """what each process runs in: ["apptainer", "exec", "--nv", "/images/relume.sif"]"""
    python: Annotated[str, FILLED] | None = None
    """interpreter on the nodes; the one that submits without it"""
    save_before_end_s: Annotated[int, POSITIVE, Le(3600)] = 120
    """how long before the time limit a job is told to save; Slurm tells up to a minute earlier"""
    max_failures: Annotated[int, POSITIVE, Le(100)] = 3
    """attempts in a row without a newly saved state after which a job is given up"""
    max_attempts: Annotated[int, POSITIVE, Le(10_000)] = 100
    """attempts after which a job is given up in any case"""
    options: dict[str, str] = field(default_factory=dict)
    """further options of sbatch: {reservation = "maintenance", exclude = "node7"}"""

    @property
    def processes_per_node(self) -> int:
        """Processes on each node."""
        return self.tasks_per_node or max(1, self.gpus_per_node)

    @property
    def processes(self) -> int:
        """Processes of the job."""
        return self.nodes * self.processes_per_node

    @property
    def minutes(self) -> int:
        """The time limit as Slurm counts it."""
        return math.ceil(self.hours * 60)

    @staticmethod
    def _saves_within_the_limit(hours: float, save_before_end_s: int) -> Iterator[str]:
        if math.ceil(hours * 60) * 60 <= save_before_end_s:
            yield (
                f"hours = {hours:g}: is over before a job would be told to save, "
                f"{save_before_end_s} s before its end; raise hours or lower save_before_end_s"
            )

    @staticmethod
    def _variables_have_names(environment: dict[str, str]) -> Iterator[str]:
        for name in environment:
            if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
                yield f"environment.{name}: is no name of a variable"


def slurm_settings(path: Path, overrides: Mapping[str, Any]) -> SlurmSettings:
    """The [slurm] section of a preset with what a command line says otherwise."""
    tables = read_toml(path).get("slurm", {})
    if not isinstance(tables, dict):
        raise ValueError(f"{path}: slurm = {tables!r}: should be a section, [slurm]")
    origin = f"{path} [slurm]" + (" with what the command line sets" if overrides else "")
    return resolve(SlurmSettings, merged(tables, overrides), origin)
