"""What makes a dataset's pictures: the painter, a pair of diffusion models, or a folder."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from schemas.photo import FolderSettings
from schemas.settings import FILLED, NON_NEGATIVE, POSITIVE, settings, tagged

# Enough for a portrait's prompt with a name in it; a prompt that needs more is refused.
FAST_TOKENS = 64


@settings
class ProceduralSettings:
    """The numpy painter: pictures without weights, always labelled procedural."""

    kind: Literal["procedural"] = "procedural"
    """the procedural painter"""
    gap: Annotated[float, NON_NEGATIVE, Le(4)] = 1.0
    """how much a target differs from its source; 0 makes them equal"""
    gap_kind: Literal["constant", "shuffled"] = "constant"
    """the same gap for every picture, or a random one for each"""


@settings
class DiffusersSettings:
    """A pair of diffusers pipelines."""

    kind: Literal["diffusers"] = "diffusers"
    """diffusers pipelines"""
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    """number format of the weights"""
    text_tokens: Annotated[int, Ge(1), Le(512)] = 256
    """length of the long text encoder's input"""
    profile: Literal["exact", "fast"] = "exact"
    """fast compiles the repeated blocks and reads at most 64 tokens: other bytes, sooner"""
    lora: Annotated[str | None, FILLED] = None
    """a LoRA for the source's model: its file, or a folder such as relume lora's RUN/adapter"""
    lora_weight: Annotated[float, Gt(0), Le(4)] = 1.0
    """how much of the LoRA is added"""
    unet: Annotated[str | None, FILLED] = None
    """folder of a UNet that takes the place of the source's own, such as relume guide's RUN/unet"""
    negative_prompt: str = ""
    """what guidance leads away from, for models that guide by a second pass"""
    scheduler: Literal["checkpoint", "pndm"] = "checkpoint"
    """the checkpoint's own, or PNDM for sources of Stable Diffusion 1.5"""
    long_prompts: Literal["refuse", "cut"] = "refuse"
    """what to do about a prompt that is longer than what is read"""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """what makes the pictures; auto takes a GPU where there is one, cuda refuses to do without"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor; another number may give other bytes there"""

    @property
    def tokens_read(self) -> int:
        """The length that the profile leaves."""
        return min(self.text_tokens, FAST_TOKENS) if self.profile == "fast" else self.text_tokens


GeneratorSettings = Annotated[
    ProceduralSettings | DiffusersSettings | FolderSettings, tagged("kind")
]
