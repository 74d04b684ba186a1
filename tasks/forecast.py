"""What a planned dataset will cost, before anything is spent: GPU-hours, bytes, files."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.config import DatasetConfig
from schemas.generator import ProceduralSettings

# Dense bf16 peak in TFLOP/s, from the makers' data sheets.
GPU_TFLOP_PER_S = {
    "A100": 312,
    "L40S": 362,
    "RTX 4090": 165,
    "H100": 989,
    "H200": 989,
    "B200": 2250,
}
# Share of the peak that FLUX reaches: with compiled blocks, and as it comes (docs/benchmarks.md).
OPTIMISTIC, REALISTIC = 0.53, 0.32
# PNG bytes per pixel of a portrait, of all three channels together.
DIFFUSION_BYTES_PER_PX, PROCEDURAL_BYTES_PER_PX = 1.75, 1.3
# Tar headers and padding, the json member, and the row of a sample.
SAMPLE_BYTES, PICTURE_BYTES = 2400, 800
FILES_PER_SHARD, OTHER_FILES = 3, 16
_COSTS_ARE_AT_PX = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuHours:
    """Hours on one GPU model: if everything goes well, and as it usually goes."""

    gpu: str
    optimistic: float
    realistic: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What to expect of a dataset."""

    samples: int
    pictures: int
    shards: int
    bytes: int
    files: int
    gpu_hours: tuple[GpuHours, ...]


def forecast(config: DatasetConfig, samples: int, shards: int) -> Forecast:
    """What these samples will cost; no GPU-hours for the procedural painter."""
    stages = [config.stage[name] for name in config.dataset.stages]
    area = config.dataset.size_px**2
    procedural = isinstance(config.generator, ProceduralSettings)
    per_px = PROCEDURAL_BYTES_PER_PX if procedural else DIFFUSION_BYTES_PER_PX
    tflop = sum(
        stage.tflop_fixed + stage.tflop_per_step * stage.effective_steps for stage in stages
    )
    # Cost grows with the pixels, a little more slowly for the text and faster for attention.
    total_tflop = samples * tflop * area / _COSTS_ARE_AT_PX**2
    return Forecast(
        samples=samples,
        pictures=samples * len(stages),
        shards=shards,
        bytes=round(samples * (SAMPLE_BYTES + len(stages) * (PICTURE_BYTES + area * per_px))),
        files=shards * FILES_PER_SHARD + OTHER_FILES,
        gpu_hours=()
        if not total_tflop
        else tuple(_hours(gpu, total_tflop) for gpu in GPU_TFLOP_PER_S),
    )


def _hours(gpu: str, tflop: float) -> GpuHours:
    limit = tflop / GPU_TFLOP_PER_S[gpu] / 3600
    return GpuHours(gpu=gpu, optimistic=limit / OPTIMISTIC, realistic=limit / REALISTIC)
