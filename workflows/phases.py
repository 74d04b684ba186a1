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
OVERHEAD, ACTIVATION_BYTES = 1.05, 5 << 30


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
    placement: Placement,
    config: DatasetConfig,
    console: Console,
    *,
    address: str | None,
    here: bool,
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
    if "target" not in stages or config.generator.kind != "diffusers":
        return False
    from models.generators.build import build_generator

    generator = build_generator(config)
    if generator.numerics()["device"] != "cuda":
        return False
    needed = generator.weight_bytes()
    there = _gpu_bytes(address, here=here)
    console.note(f"the models take {size(needed)}, the smallest GPU has {size(there)}")
    return too_large(needed, there)


def too_large(weight_bytes: int, gpu_bytes: int) -> bool:
    """Whether models of this size leave a GPU no room to work."""
    return weight_bytes * OVERHEAD + ACTIVATION_BYTES > gpu_bytes


def _gpu_bytes(address: str | None, *, here: bool) -> int:
    """Memory of the smallest GPU that will be used; ValueError where there is none."""
    from tasks.gpu_memory import smallest_gpu_bytes

    if here:
        import torch

        if not torch.cuda.is_available():
            raise no_gpu("local")
        return smallest_gpu_bytes()
    from cluster.connect import connected
    from cluster.survey import asked_on_each_node

    with connected(address) as where:
        answers = asked_on_each_node(smallest_gpu_bytes, "GPU")
    if not answers:
        raise no_gpu(where)
    return min(answers)


def no_gpu(where: str) -> ValueError:
    """That GPUs are asked for where none are, and the mend."""
    place = "this machine" if where == "local" else f"the cluster {where}"
    return ValueError(
        f"generator.device: {place} has no GPU; name --address of a cluster that "
        "has some, or plan into a new folder with --generator.device cpu"
    )
