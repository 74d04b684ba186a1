"""What `relume enhance` is told, and the settings that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from workflows.workers import WorkerArguments

if TYPE_CHECKING:
    from schemas.enhance import EnhanceSettings

_CPU_BATCH, _GPU_BATCH = 1, 16


@dataclass(frozen=True, kw_only=True)
class Arguments(WorkerArguments):
    """Put pictures through a head, or continue; what is there already stays as it is.

    INPUT is pictures, folders and patterns, whose pictures become files in OUT; or one dataset,
    whose pictures become a dataset in OUT, made on Ray like every other.
    """

    head: tyro.conf.Positional[str]
    """folder of a head, its hub id, or a reference CycleGAN's latest_net_G.pth"""
    input: tyro.conf.Positional[tuple[str, ...]] = ()
    """pictures, folders and patterns, or one dataset"""
    out: Path | None = None
    """folder of the enhanced pictures"""
    export: Path | None = None
    """write the head as others use it, with its ONNX file, to this folder, and enhance nothing"""
    format: Literal["png", "jpeg", "webp"] = "png"
    """files to write: png, webp without loss, or jpeg of quality 95; a dataset's are png"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """what the network runs on; auto takes a GPU where there is one"""
    precision: Literal["float32", "bfloat16"] = "float32"
    """number format of the network; bfloat16 is several times as fast, and a few levels apart"""
    compiled: Annotated[bool, tyro.conf.arg(help="compile the network, for many of one size")] = (
        False
    )
    batch_size: int | None = None
    """pictures of one size that go together; without it 1 on a processor, 16 on a GPU"""
    threads: int | None = None
    """threads of the network on a processor; without it all for files, 1 a worker for a dataset"""
    tile_px: int = 2048
    """larger pictures go through in tiles of this side, a multiple of 128"""
    overlap_px: int = 256
    """how much of a tile is its neighbour's too"""
    stage: Literal["source", "target", "teacher"] = "source"
    """which pictures of a dataset"""
    split: Literal["train", "validation", "test"] | None = None
    """only this split of a dataset"""
    selection: Path | None = None
    """only the samples of a dataset that relume curate chose"""
    mend: Annotated[bool, tyro.conf.arg(help="verify OUT first; set damage aside")] = False
    json: Annotated[bool, tyro.conf.arg(help="print the result as JSON")] = False


def enhance_settings(arguments: Arguments, threads: int) -> EnhanceSettings:
    """The options as settings; a ValueError lists every mistake in them."""
    from schemas.enhance import EnhanceSettings
    from schemas.settings import resolve

    device = arguments.device
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    default = _GPU_BATCH if device == "cuda" else _CPU_BATCH
    tables = {
        "device": device,
        "precision": arguments.precision,
        "compiled": arguments.compiled,
        "batch_size": default if arguments.batch_size is None else arguments.batch_size,
        "threads": threads if arguments.threads is None else arguments.threads,
        "tile_px": arguments.tile_px,
        "overlap_px": arguments.overlap_px,
    }
    return resolve(EnhanceSettings, tables, "relume enhance")
