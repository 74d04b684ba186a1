"""A head from wherever a person says it lies, ready for the pictures of a run."""

from __future__ import annotations

from pathlib import Path

import torch

from models.heads.head import Head
from models.heads.junyanz import published_generator
from models.heads.tiles import TiledEnhancer
from schemas.enhance import EnhanceSettings
from shards.provenance import processor


def open_head(place: str) -> Head:
    """The head in a folder, in the hub's cache, or in a reference CycleGAN's latest_net_G.pth."""
    if Path(place).suffix in (".pth", ".pt", ".bin", ".ckpt"):
        return Head(*published_generator(Path(place)))
    return Head.from_pretrained(place)


def enhancer_of(head: Head, settings: EnhanceSettings) -> tuple[TiledEnhancer, str]:
    """What enhances with this head, and the processor or GPU that it is on."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: no CUDA device is seen here; use --device cpu")
    torch.set_num_threads(settings.threads)
    on = torch.cuda.get_device_name() if settings.device == "cuda" else processor()
    return head.enhancer(
        settings.device,
        settings.precision,
        compiled=settings.compiled,
        tile_px=settings.tile_px,
        overlap_px=settings.overlap_px,
    ), on
