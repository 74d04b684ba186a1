"""How pairs of a good and a bad face are made: whose faces, how much noise, by which model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from schemas.audit import DEEPFACE_BORDER, DeepFaceSettings, Detector, Engine
from schemas.overrides import read_section
from schemas.sample import Stage
from schemas.settings import FILLED, NON_NEGATIVE, POSITIVE, as_plain, settings

SECTION = "facepairs"
PAIR_STAGES: tuple[Stage, ...] = ("good", "bad", "mask")
# Two latents of eight pixels each, so that a mask is never lost at the latents' size.
_LEAST_SIDE_PX = 16


@settings
class NoiseStep:
    """How much noise faces up to a size get."""

    up_to: Annotated[float, Gt(0), Le(1)]
    """largest share of the picture that the face's box takes"""
    factor: Annotated[float, Gt(0), Le(1)]
    """noise factor: the share of the schedule that is gone back, diffusers' strength"""


# Table 8: (0, 0.5 %], (0.5 %, 1 %], (1 %, 10 %], (10 %, 100 %].
TABLE_8 = (
    NoiseStep(up_to=0.005, factor=0.06),
    NoiseStep(up_to=0.01, factor=0.1),
    NoiseStep(up_to=0.1, factor=0.2),
    NoiseStep(up_to=1.0, factor=0.4),
)


@settings
class FaceRules:
    """Which faces are of use; the paper leaves out small, blurred and invalid ones, unnumbered."""

    min_side_px: Annotated[int, Ge(_LEAST_SIDE_PX)] = 20
    """a face whose box is narrower or lower is too small"""
    min_share: Annotated[float, NON_NEGATIVE, Le(1)] = 0.0
    """a face that takes less of the picture is too small"""
    min_confidence: Annotated[float, NON_NEGATIVE, Le(1)] = 0.9
    """what the detector is less sure of is no face"""
    min_clearness: Annotated[float, NON_NEGATIVE] = 30.0
    """variance of the Laplacian of grey levels at 112 px at most, below which a face is blurred"""
    border_px: Annotated[int, NON_NEGATIVE] = 1
    """a face as near to the picture's edge as this is at the border"""
    max_outside: Annotated[float, NON_NEGATIVE, Le(1)] = 0.25
    """a box of which more lies outside the picture is no box in it"""


@settings
class FinderSettings:
    """What looks for faces."""

    detector: Detector = "retinaface"
    """one of DeepFace's detectors; the paper's is RetinaFace"""
    engine: Engine = "onnx"
    """what runs its model"""
    weights: Annotated[str | None, FILLED] = None
    """folder that holds .deepface/weights; by default DEEPFACE_HOME, or else the home folder"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor for each worker"""

    def deepface(self) -> DeepFaceSettings:
        """The same as DeepFace's loader takes it."""
        border = 0.125 if self.detector in ("retinaface", "opencv") else DEEPFACE_BORDER
        return DeepFaceSettings(
            detector=self.detector,
            engine=self.engine,
            weights=self.weights,
            border=border,
            threads=self.threads,
        )


@settings
class InpaintSettings:
    """What paints a face anew."""

    model: Annotated[str, FILLED]
    """hub id or folder: an inpainting model of 9 channels, or plain Stable Diffusion of 4"""
    revision: Annotated[str, FILLED] = "main"
    """revision of the model"""
    steps: Annotated[int, POSITIVE, Le(1000)] = 50
    """steps of the whole schedule; a factor f runs int(f x steps) of them"""
    guidance: Annotated[float, NON_NEGATIVE] = 7.5
    """guidance scale"""
    negative_prompt: str = ""
    """what guidance leads away from"""
    prompt: str | None = None
    """one prompt for every face; by default the picture's own"""
    scheduler: Literal["ddim", "checkpoint"] = "ddim"
    """ddim, or what the checkpoint names; a PNDM that begins midway is a step off all the way"""
    dtype: Literal["bfloat16", "float16", "float32"] = "float16"
    """number format of the weights"""
    device: Literal["auto", "cuda", "cpu"] = "auto"
    """what paints; auto takes a GPU where there is one, cuda refuses to do without"""
    threads: Annotated[int, POSITIVE, Le(256)] = 1
    """threads of the processor; another number may give other bytes there"""


@settings
class FacePairSettings:
    """The [facepairs] section of a preset."""

    seed: Annotated[int, NON_NEGATIVE, Le(2**53 - 1)] = 0
    """seed of the noise"""
    stage: Stage = "source"
    """which pictures of the dataset"""
    faces: Annotated[int, POSITIVE, Le(9)] = 2
    """planned rows of a picture: one for each of its so many largest faces"""
    batch_size: Annotated[int, Ge(2), Le(1024)] = 8
    """faces of one noise factor that are painted together"""
    margin: Annotated[float, NON_NEGATIVE, Le(1)] = 0.0
    """how much of its sides the mask is wider than the face's box, on every side"""
    paste: bool = True
    """take every pixel outside the mask from the good picture; else the VAE changes those too"""
    noise: Annotated[tuple[NoiseStep, ...], FILLED] = TABLE_8
    """noise factor by the share of the picture, Table 8"""
    rules: FaceRules = FaceRules()
    """which faces are of use"""
    finder: FinderSettings = FinderSettings()
    """what looks for faces"""
    inpaint: InpaintSettings
    """what paints them anew"""

    @staticmethod
    def _noise_covers_every_size(noise: tuple[NoiseStep, ...]) -> Iterator[str]:
        ends = [step.up_to for step in noise]
        if ends != sorted(set(ends)) or not ends or ends[-1] != 1.0:
            yield f"noise: up_to = {ends}: should rise and end at 1.0, so that each size has one"

    @staticmethod
    def _a_step_runs(noise: tuple[NoiseStep, ...], inpaint: InpaintSettings) -> Iterator[str]:
        for step in noise:
            if int(inpaint.steps * step.factor) < 1:
                yield (
                    f"noise: factor = {step.factor}: no step of inpaint.steps = {inpaint.steps} "
                    "would run; raise one of them"
                )

    @staticmethod
    def _of_a_picture(stage: Stage) -> Iterator[str]:
        if stage in PAIR_STAGES:
            yield f"stage = {stage!r}: is itself of a pair; name the pictures to begin with"


@dataclass(frozen=True, slots=True)
class PairFace:
    """A face of use: its box within the picture, its share of it, and its noise factor."""

    x: int
    y: int
    width: int
    height: int
    share: float
    factor: float


def facepair_settings(path: Path, overrides: Mapping[str, Any]) -> FacePairSettings:
    """The [facepairs] section of a preset with what a command line says otherwise."""
    return read_section(FacePairSettings, path, SECTION, overrides, "configs/facepairs.toml")


def told_numerics(chosen: FacePairSettings) -> dict[str, str | int]:
    """Every setting that changes pictures, by its path, as generator.json holds them."""
    told: dict[str, str | int] = {}
    for key, value in as_plain(chosen).items():
        if key == "noise":
            told[key] = ", ".join(f"{one['up_to']}: {one['factor']}" for one in value)
        elif isinstance(value, dict):
            told |= {f"{key}.{inner}": _plain(one) for inner, one in value.items()}
        else:
            told[key] = _plain(value)
    # Where weights lie changes nothing; what they are is told of the models.
    for place in ("finder.weights", "inpaint.model", "inpaint.revision", "inpaint.device"):
        told.pop(place)
    return told


def _plain(value: Any) -> str | int:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return value if isinstance(value, int) else str(value)
