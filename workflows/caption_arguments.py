"""What `relume caption` is told, and the settings that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from workflows.workers import WorkerArguments, whole_path

if TYPE_CHECKING:
    from schemas.caption import CaptionSettings

_CPU_BATCH, _GPU_BATCH = 8, 16


@dataclass(frozen=True, kw_only=True)
class Arguments(WorkerArguments):
    """Caption a dataset's pictures or those of a folder with LLaVA, or continue; then a report.

    A caption is a model's words about a picture: it may be wrong about people.
    """

    input: tyro.conf.Positional[Path]
    """folder of a dataset, or of PNG, JPEG and WebP in any depth"""
    out: Path
    """folder of the captions"""
    model: str = "llava-hf/llava-1.5-7b-hf"
    """folder of a LLaVA 1.5, or its name in the hub's cache"""
    revision: str = "main"
    """revision of a model of the hub's cache"""
    template: str = "portrait-1"
    """which question is asked: portrait-1, portrait-short-1 or picture-1"""
    question: str | None = None
    """a question of your own, in place of a template's"""
    stage: Literal["source", "target", "teacher", "enhanced", "photo"] | None = None
    """which picture of a dataset's samples; without it the only one there is"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """what the model runs on; auto takes a GPU where there is one"""
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """number format; without it float32 on a processor, float16 on a GPU"""
    batch_size: int | None = None
    """pictures that are captioned at once; without it 8 on a processor, 16 on a GPU"""
    max_new_tokens: int = 128
    """a caption that is longer is cut off"""
    threads: int = 1
    """threads of the processor for each worker"""
    chunk: int = 64
    """pictures of a folder that are one unit of work; a dataset has its shards"""
    clip_tokenizer: str | None = None
    """Stable Diffusion 1.5, or its tokenizer: a folder, or its name in the hub's cache; counts what
    its 77 tokens cut"""
    sidecars: Path | None = None
    """also write NAME.txt for each usable caption into this folder; never over a foreign file"""
    page: Path | None = None
    """also write a page for reviewing the captions into this folder"""
    page_rows: int = 2000
    """at most so many captions on it: flagged ones first, the others evenly spread"""
    review: Path | None = None
    """apply the decisions in a file that was saved from that page"""
    report_only: Annotated[bool, tyro.conf.arg(help="of what is there; needs no model")] = False
    json: Annotated[bool, tyro.conf.arg(help="print the result as JSON")] = False


def caption_settings(arguments: Arguments) -> CaptionSettings:
    """The options as settings; a ValueError lists every mistake in them."""
    from models.captioner.templates import OWN, question_of
    from schemas.caption import CaptionSettings
    from schemas.settings import resolve

    device = arguments.device
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    on_gpu = device == "cuda"
    own = arguments.question is not None
    tables = {
        "model": whole_path(arguments.model),
        "revision": arguments.revision,
        "template": OWN if own else arguments.template,
        "question": arguments.question if own else question_of(arguments.template),
        "device": device,
        "dtype": arguments.dtype or ("float16" if on_gpu else "float32"),
        "batch_size": arguments.batch_size or (_GPU_BATCH if on_gpu else _CPU_BATCH),
        "max_new_tokens": arguments.max_new_tokens,
        "threads": arguments.threads,
        "chunk": arguments.chunk,
    }
    if arguments.clip_tokenizer is not None:
        tables["clip_tokenizer"] = whole_path(arguments.clip_tokenizer)
    return resolve(CaptionSettings, tables, "relume caption")
