"""A pipeline in the way of diffusers: a prompt in, the fast model's picture with the finish out.

For Python alone. Datasets are made by `relume generate` and `relume enhance`, which fix every byte.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from models.generators.diffusers_pair.checkpoint import find_checkpoint
from models.generators.diffusers_pair.loading import Loader
from models.heads.enhancer import Picture
from models.heads.head import Head
from models.quiet import quiet
from schemas.generator import DiffusersSettings
from schemas.head import Precision

quiet()
from diffusers import DiffusionPipeline  # noqa: E402
from diffusers.utils import BaseOutput  # noqa: E402

INDEX, SOURCE, HEAD = "model_index.json", "source", "head"


@dataclass
class RelumePipelineOutput(BaseOutput):  # type: ignore[misc]
    """What a call makes."""

    images: Any
    """the enhanced pictures, Pillow images or floats (n, height, width, 3) of 0 to 1"""
    sources: Any
    """the fast model's pictures that they were made of"""


class RelumePipeline(DiffusionPipeline):  # type: ignore[misc]
    """A text-to-image pipeline of diffusers, and the head that its pictures go through."""

    def __init__(self, source: Any, head: Head, precision: Precision = "float32") -> None:
        super().__init__()
        self.source, self.head, self.precision = source, head, precision

    @classmethod
    def from_pretrained(  # type: ignore[override, unused-ignore]
        cls,
        place: str | Path,
        head: str | Path | Head | None = None,
        *,
        revision: str = "main",
        dtype: Literal["bfloat16", "float16", "float32"] = "float32",
        device: str = "cpu",
        precision: Precision = "float32",
    ) -> RelumePipeline:
        """A source, by folder or hub id, with a head; or a folder that `save_pretrained` wrote.

        Opens no connection, and unpickles nothing.
        """
        folder = Path(place)
        if (folder / SOURCE).is_dir() and (folder / HEAD).is_dir():
            head = folder / HEAD if head is None else head
            place = folder / SOURCE
        if head is None:
            raise ValueError(f"{place}: holds a source alone; give the head of it too: head=FOLDER")
        loader = Loader(DiffusersSettings(dtype=dtype), torch.device(device))
        found = find_checkpoint(str(place), revision)
        source = loader.load(found, from_image=False, lora=None).run
        return cls(
            source, head if isinstance(head, Head) else Head.from_pretrained(head), precision
        )

    def save_pretrained(self, folder: str | Path, **_: Any) -> None:
        """Write source and head beside each other, both in safetensors."""
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir()) and not _is_ours(folder):
            raise ValueError(f"{folder}: is there and is no such pipeline; name another folder")
        self.source.save_pretrained(folder / SOURCE, safe_serialization=True)
        self.head.save(folder / HEAD)
        index = {"_class_name": type(self).__name__, "source": SOURCE, "head": HEAD}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")

    def __call__(
        self,
        prompt: str | list[str],
        *,
        output_type: Literal["pil", "np"] = "pil",
        return_dict: bool = True,
        batch_size: int = 4,
        **source: Any,
    ) -> RelumePipelineOutput | tuple[Any, Any]:
        """Enhanced pictures of prompts; what else is given goes to the source's pipeline."""
        made: list[Image.Image] = self.source(prompt, **source, output_type="pil").images
        enhance = self.head.enhancer(str(self.device), self.precision)
        levels = [np.asarray(one.convert("RGB")) for one in made]
        images, sources = (
            _as_asked(one, output_type) for one in (enhance(levels, batch_size), levels)
        )
        if not return_dict:
            return images, sources
        return RelumePipelineOutput(images=images, sources=sources)

    def to(self, *args: Any, **kwargs: Any) -> RelumePipeline:
        """Move the source; the head follows to its device, and keeps its own number format."""
        self.source.to(*args, **kwargs)
        return self

    @property
    def device(self) -> torch.device:
        """Where the source is."""
        device: torch.device = self.source.device
        return device

    @property
    def components(self) -> dict[str, Any]:
        """The source's components, and the head."""
        return {**self.source.components, HEAD: self.head}

    def set_progress_bar_config(self, **kwargs: Any) -> None:
        """Of the source, which has the steps."""
        self.source.set_progress_bar_config(**kwargs)


def _as_asked(levels: list[Picture], output_type: str) -> Any:
    if output_type == "np":
        return np.stack(levels).astype(np.float32) / 255
    return [Image.fromarray(one) for one in levels]


def _is_ours(folder: Path) -> bool:
    try:
        index = json.loads((folder / INDEX).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(index, dict) and index.get("_class_name") == RelumePipeline.__name__
