"""Whether source and target are made in one go, or sources first: by what a GPU can hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workflows.console import Console, size

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.config import DatasetConfig
    from schemas.run import Run

Placement = Literal["auto", "fused", "two-phase"]
# Beside the weights: activations of a batch, the allocator's gaps, what CUDA itself takes.
OVERHEAD, ACTIVATION_BYTES = 1.1, 6 << 30


def sources_folder(dataset: Path) -> Path:
    """Where the sources of a dataset lie that are made first."""
    return dataset.with_name(f"{dataset.name}-sources")


def plan_sources(folder: Path, run: Run, plan: pa.Table) -> None:
    """Plan the sources of a dataset as a dataset of their own."""
    from shards.run import publish_run
    from shards.sources import plan_of_sources

    sources, rows = plan_of_sources(run, plan)
    publish_run(folder, sources, rows)


def is_two_phase(
    placement: Placement, config: DatasetConfig, address: str | None, console: Console
) -> bool:
    """Whether sources have to be made first."""
    stages = config.dataset.stages
    if placement != "auto":
        if placement == "two-phase" and not {"source", "target"} <= set(stages):
            raise ValueError(
                f"--placement two-phase: this dataset has {' and '.join(stages)}; "
                "it takes a source and a target"
            )
        return placement == "two-phase"
    if "target" not in stages or config.generator.kind == "procedural":
        return False
    from models.generators.build import build_generator

    generator = build_generator(config)
    if generator.numerics()["device"] != "cuda":
        return False
    needed = generator.weight_bytes()
    there = _gpu_bytes(address)
    console.note(f"the models take {size(needed)}, the smallest GPU has {size(there)}")
    return too_large(needed, there)


def too_large(weight_bytes: int, gpu_bytes: int) -> bool:
    """Whether models of this size leave a GPU no room to work."""
    return weight_bytes * OVERHEAD + ACTIVATION_BYTES > gpu_bytes


def _gpu_bytes(address: str | None) -> int:
    """Memory of the smallest GPU of the cluster, which a worker on each is asked for."""
    from cluster.connect import connected
    from cluster.engine import Engine
    from cluster.seats import Seats
    from schemas.lease import Lease
    from tasks.gpu_memory import GpuMemory

    needs = Seats(num_gpus=1.0)
    with connected(address):
        count = max(needs.room(), 1)
        leases = [Lease(shard=f"gpu-{n}", attempt=1, samples=()) for n in range(count)]
        outcomes = Engine(GpuMemory, None, needs).run(leases, count)
        return min(outcome for outcome in outcomes if isinstance(outcome, int))
