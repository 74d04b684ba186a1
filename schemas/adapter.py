"""What an adapter's folder says of itself: what it is, beside which model, and how it learned."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from schemas.lora import AdapterSettings
from schemas.run import ModelIdentity
from schemas.settings import FILLED, NON_NEGATIVE, POSITIVE, settings

FORMAT: Final = "relume-lora"
VERSION: Final = 1


@settings
class AdapterFacts:
    """What an adapter learned from."""

    dataset: Annotated[str, FILLED]
    """name of the dataset"""
    made_by: str
    """fingerprint of what the dataset was made by"""
    profile: Literal["photo", "generated", "procedural"]
    """photographs, pictures of a model, or drawn by the painter"""
    texts: Literal["captions", "prompts"]
    """what the pictures were shown with"""
    num_ids: Annotated[int, POSITIVE]
    """samples of train that it was shown"""
    ids_sha256: str
    """checksum of their ids in rising order, a line each"""
    size_px: Annotated[int, POSITIVE]
    """side of the pictures"""
    epochs: Annotated[int, NON_NEGATIVE]
    """epochs that were done"""
    images_seen: Annotated[int, NON_NEGATIVE]
    """pictures that were shown, each as often as it was"""
    config_sha256: str
    """fingerprint of the training's settings"""


@settings
class AdapterRecord:
    """config.json in an adapter's folder."""

    format: Literal["relume-lora"] = FORMAT
    """which kind of folder it is"""
    version: Literal[1] = VERSION
    """version of this record"""
    adapter: AdapterSettings
    """rank, alpha and layers"""
    base: ModelIdentity
    """the model that it belongs beside, down to its weights"""
    weights_sha256: str
    """checksum of the file that diffusers reads"""
    training: AdapterFacts | None = None
    """what it learned from; null where that is not known"""
