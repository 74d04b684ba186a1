"""What defines the networks of a head, and what a head at rest says about itself.

How a head is trained is not said here: these settings alone decide which function the weights are
of, so that a head's folder needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le

from schemas.settings import FILLED, POSITIVE, settings, tagged

Norm = Literal["instance", "group", "none"]
Attention = Literal["none", "esa", "cbam"]
Upsampling = Literal["transposed", "resize"]
Precision = Literal["float32", "bfloat16"]
Profile = Literal["exact", "fast", "procedural"]

FORMAT: Final = "relume-head"
VERSION: Final = 1
_MOST_WIDTH = 512


@settings
class ResnetSettings:
    """CycleGAN's generator; with attention = "esa" it is the paper's ESA-CycleGAN."""

    kind: Literal["resnet"] = "resnet"
    """convolutions down, residual blocks, convolutions up"""
    width: Annotated[int, POSITIVE, Le(_MOST_WIDTH)] = 64
    """channels at full size; each halving doubles them"""
    halvings: Annotated[int, Ge(0), Le(4)] = 2
    """halvings of the picture before the residual blocks; without any they see every pixel"""
    num_blocks: Annotated[int, Ge(0), Le(64)] = 9
    """residual blocks"""
    norm: Norm = "instance"
    """what follows each convolution but the last; group has learned scales, 8 groups"""
    attention: Attention = "none"
    """attention in the residual blocks: none, RFANet's ESA, or CBAM"""
    attention_at: Literal["branch", "block", "bottleneck"] = "branch"
    """on each residual branch before it is added, after each block, or once after the last block"""
    upsampling: Upsampling = "transposed"
    """transposed convolutions, or nearest pixels and a convolution"""
    residual_output: bool = False
    """the head adds to its input and begins as the identity; otherwise tanh gives the picture"""
    detail_gain: Annotated[float, Ge(0), Le(100)] = 0.0
    """show the network what a blur leaves out of a picture too, times this; 0 as published"""

    @staticmethod
    def _attention_has_a_place(
        attention: Attention, attention_at: str, num_blocks: int
    ) -> Iterator[str]:
        if attention != "none" and attention_at != "bottleneck" and not num_blocks:
            yield (
                f"attention = {attention!r}: there are no blocks to put it on; "
                'raise num_blocks, or say attention_at = "bottleneck"'
            )


@settings
class UnetSettings:
    """The pairwise U-Net: residual blocks with attention on the way down and up."""

    kind: Literal["unet"] = "unet"
    """an encoder and a decoder with skips between them"""
    width: Annotated[int, POSITIVE, Le(_MOST_WIDTH)] = 64
    """channels at full size; twice as many per level, up to eight times"""
    levels: Annotated[int, Ge(2), Le(8)] = 6
    """sizes that the picture has on its way; each halves the one above"""
    blocks_per_level: Annotated[int, POSITIVE, Le(8)] = 1
    """residual blocks at each size, on the way down and up"""
    norm: Norm = "group"
    """what follows each convolution of a block; group has learned scales, 8 groups"""
    attention: Literal["none", "cbam"] = "cbam"
    """attention at the end of each residual branch"""
    upsampling: Upsampling = "resize"
    """transposed convolutions, or nearest pixels and a convolution"""
    residual_output: bool = False
    """the head adds to its input and begins as the identity; otherwise tanh gives the picture"""


NetworkSettings = Annotated[ResnetSettings | UnetSettings, tagged("kind")]


@settings
class PatchganSettings:
    """The discriminator of CycleGAN and pix2pix; three layers see 70 x 70 pixels."""

    width: Annotated[int, POSITIVE, Le(_MOST_WIDTH)] = 64
    """channels of the first layer; twice as many per layer, up to eight times"""
    num_layers: Annotated[int, POSITIVE, Le(6)] = 3
    """convolutions that halve the picture"""
    norm: Norm = "instance"
    """what follows each convolution but the first and the last; group has learned scales"""
    conditional: bool = False
    """judge a picture together with the source it was made from, as pix2pix does"""
    detail_gain: Annotated[float, Ge(0), Le(100)] = 0.0
    """show what a blur leaves out of a picture too, times this; 0 as published"""


@settings
class PictureMaker:
    """The model that made the pictures of one side of the training set."""

    model: Annotated[str, FILLED]
    """hub id or local name of the model"""
    revision: Annotated[str, FILLED]
    """revision of the model"""


@settings
class TrainingFacts:
    """What a head was trained on: the profile of its source, and its samples by their hash."""

    dataset: Annotated[str, FILLED]
    """name of the dataset"""
    method: Literal["paired", "cyclegan", "pix2pix"]
    """how it was trained"""
    profile: Profile
    """how the generator made the pictures; those of procedural show no person and no model"""
    source: PictureMaker
    """what made the pictures that the head is for"""
    target: PictureMaker
    """what made the pictures that it learned from"""
    num_ids: Annotated[int, POSITIVE]
    """samples it was trained on"""
    ids_sha256: Annotated[str, FILLED]
    """of training_ids.safetensors' hashes, so that an overlap with a test can be refused"""
    size_px: Annotated[int, POSITIVE]
    """side of the pictures or crops in the last phase"""
    images_seen: Annotated[int, POSITIVE]
    """pictures that went through the head in training"""
    config_sha256: Annotated[str, FILLED]
    """fingerprint of the resolved training config"""


@settings
class HeadConfig:
    """config.json of a head's folder."""

    format: Literal["relume-head"] = FORMAT
    """what this folder is"""
    version: Literal[1] = VERSION
    """of this layout"""
    network: NetworkSettings
    """which network the weights are of"""
    training: TrainingFacts | None = None
    """what it was trained on; null for weights that came from elsewhere"""
    weights_sha256: Annotated[str, FILLED]
    """of model.safetensors"""
