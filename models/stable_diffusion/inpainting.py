"""Paints parts of pictures anew with Stable Diffusion, by diffusers' inpainting pipeline.

Takes inpainting models, whose UNet sees mask and masked picture in five more channels, and plain
ones, which are held to the picture outside the mask after every step. Knows nothing of faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.generators.diffusers_pair.checkpoint import INDEX, Checkpoint, find_checkpoint
from models.generators.diffusers_pair.loading import use_ddim
from models.generators.diffusers_pair.local_copy import local_copy
from models.quiet import quiet
from schemas.facepairs import InpaintSettings
from schemas.run import ModelIdentity

_KINDS = ("StableDiffusionPipeline", "StableDiffusionInpaintPipeline")
_CHANNELS = (4, 9)

Levels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Painted:
    """A batch of painted pictures (N, H, W, 3) in 0..1, and which the safety checker blacked."""

    pixels: NDArray[np.float32]
    withheld: Sequence[bool]


class Inpainter:
    """Paints what masks say anew, each picture by its own seed."""

    def __init__(self, settings: InpaintSettings) -> None:
        """Nothing is looked for yet."""
        self._settings = settings
        there = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = there if settings.device == "auto" else settings.device
        self._copy: Checkpoint | None = None
        self._pipeline: Any = None
        self._tokenizer: Any = None

    def identity(self) -> ModelIdentity:
        """The model with the checksum of every file that is loaded."""
        found = self._checkpoint()
        return ModelIdentity(model=found.model, revision=found.revision, weights=found.sha256())

    def revision(self) -> tuple[str, str]:
        """The model with its commit; nothing is read for it."""
        found = self._checkpoint()
        return found.model, found.revision

    def copy_weights(self, place: Path, model: ModelIdentity) -> None:
        """Load from a copy in this folder of the node, made now where there is none."""
        self._copy = local_copy(self._checkpoint(), model.weights, place)

    def load(self) -> None:
        """Load the pipeline, without the network."""
        quiet()
        import diffusers

        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                "inpaint.device = 'cuda': no CUDA device is seen here; give this worker one, "
                "or choose --inpaint.device cpu"
            )
        torch.set_num_threads(self._settings.threads)
        checkpoint = self._checkpoint()
        for component in checkpoint.components:
            checkpoint.files(component)
        pipeline = diffusers.StableDiffusionInpaintPipeline.from_pretrained(
            checkpoint.folder,
            dtype=getattr(torch, self._settings.dtype),
            use_safetensors=True,
            local_files_only=True,
        )
        if self._settings.scheduler == "ddim":
            use_ddim(pipeline)
        pipeline.set_progress_bar_config(disable=True)
        self._pipeline = pipeline.to(self.device)

    def gpu(self) -> str | None:
        """The model of the GPU that paints; None where the processor does."""
        return torch.cuda.get_device_name() if self.device == "cuda" else None

    def num_cut(self, prompts: Sequence[str]) -> int:
        """How many of these are longer than the text encoder reads, and are cut; needs no load."""
        from transformers import CLIPTokenizer

        if self._settings.prompt is not None:
            prompts = [self._settings.prompt] * len(prompts)
        if self._tokenizer is None:
            folder = self._checkpoint().folder / "tokenizer"
            self._tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        most = self._tokenizer.model_max_length
        read = self._tokenizer(list(prompts)).input_ids if prompts else []
        return sum(len(ids) > most for ids in read)

    def paint(
        self,
        pictures: Levels,
        masks: NDArray[np.bool_],
        prompts: Sequence[str],
        seeds: Sequence[int],
        strength: float,
    ) -> Painted:
        """Pictures (N, H, W, 3) whose masks (N, H, W) are painted anew from noise of a strength.

        The whole picture goes through the VAE: outside the mask it is like the given one, but not
        the same.
        """
        assert self._pipeline is not None, "load() comes first"
        # Of this thread alone, and a lease may come in another than the last one.
        torch.set_num_threads(self._settings.threads)
        height, width = pictures.shape[1:3]
        shown = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            pixels, unsafe = self._pipeline(
                prompt=list(prompts),
                negative_prompt=[self._settings.negative_prompt] * len(prompts),
                image=shown,
                mask_image=torch.from_numpy(masks)[:, None].float(),
                height=height,
                width=width,
                strength=strength,
                num_inference_steps=self._settings.steps,
                guidance_scale=self._settings.guidance,
                # On the processor, so that a seed means the same noise on every device.
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
                output_type="pt",
                return_dict=False,
            )
        floats = pixels.permute(0, 2, 3, 1).float().cpu().numpy()
        assert floats.shape == pictures.shape, floats.shape
        return Painted(floats, list(unsafe) if unsafe is not None else [False] * len(prompts))

    def _checkpoint(self) -> Checkpoint:
        if self._copy is not None:
            return self._copy
        try:
            found = find_checkpoint(self._settings.model, self._settings.revision)
            _check(found)
        except ValueError as error:
            raise ValueError(f"inpaint.model = {error}") from None
        return found


def _check(checkpoint: Checkpoint) -> None:
    """Refuse what no inpainting pipeline of Stable Diffusion 1.5's kind takes."""
    kind = checkpoint.index.get("_class_name")
    if kind not in _KINDS:
        raise ValueError(
            f"{checkpoint.model!r}: {INDEX} says {kind!r}; use a {' or a '.join(_KINDS)}"
        )
    channels = checkpoint.says("unet").get("in_channels")
    if channels not in _CHANNELS:
        raise ValueError(
            f"{checkpoint.model!r}: its unet takes {channels} channels; inpainting needs 4 or 9"
        )
