"""A pair of diffusers models as a generator: source, target out of it, and teacher."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.adapters.lora_files import DIFFUSERS
from models.checksums import sha256_of
from models.generators.diffusers_pair.checkpoint import Checkpoint, find_checkpoint
from models.generators.diffusers_pair.families import Encoded, encode_prompts, family_of
from models.generators.diffusers_pair.loading import Loader, Pipeline, is_off_midway
from models.generators.diffusers_pair.local_copy import local_copy
from models.generators.diffusers_pair.weight_files import num_elements
from models.generators.generator import Pixels
from schemas.config import DatasetConfig
from schemas.endings import DoesNotFit
from schemas.generator import DiffusersSettings
from schemas.run import ModelIdentity
from schemas.sample import STAGES, PlannedSample, Stage

# Fewer are not advised: last digits depend on how many are made together, most where it is one.
LEAST_BATCH = 2
# Before the name of a LoRA's file, among the files of its model.
_LORA = "lora/"
# Before the names of the files of a UNet that is put in a model's place of it.
_UNET = "swapped-unet/"
_UNET_FILES = ("config.json", "diffusion_pytorch_model.safetensors")


class DiffusersGenerator:
    """Makes sources, targets and teachers from prompts and seeds with diffusers pipelines."""

    def __init__(self, config: DatasetConfig) -> None:
        """Nothing is looked for yet: a plan can be read where no model lies."""
        assert isinstance(config.generator, DiffusersSettings)
        self._settings = config.generator
        self._stages, self._stage = config.dataset.stages, config.stage
        self._size_px = config.dataset.size_px
        there = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = there if self._settings.device == "auto" else self._settings.device
        # What is loaded; benchmarks put pipelines here that were never files.
        self.pipelines: dict[Stage, Pipeline] = {}
        self._copies: dict[Stage, Checkpoint] = {}
        self._encoded: dict[tuple[Hashable, tuple[str, ...]], Encoded] = {}

    def copy_weights(self, place: Path, models: Mapping[str, ModelIdentity]) -> None:
        """Load from a copy in this folder, made now where there is none."""
        for stage in self._stages:
            sums = models[stage].weights
            own = {name: sums[name] for name in sums if not name.startswith((_LORA, _UNET))}
            self._copies[stage] = local_copy(self._found(stage), own, place)

    def load(self, stages: Sequence[Stage] | None = None) -> None:
        """Load the models of these stages, of all by default."""
        if self._device == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                "generator.device = 'cuda': no CUDA device is seen here; give this worker one, "
                "or plan with --generator.device cpu"
            )
        torch.set_num_threads(self._settings.threads)
        loader = Loader(self._settings, torch.device(self._device))
        for stage in self._stages if stages is None else stages:
            checkpoint, lora = self._checkpoint(stage), self._lora(stage)
            try:
                pipeline = loader.load(
                    checkpoint,
                    from_image=stage == "target",
                    lora=lora,
                    unet=self._unet(stage),
                    pndm=stage == "source" and self._settings.scheduler == "pndm",
                )
            except torch.cuda.OutOfMemoryError:
                raise ValueError(
                    f"stage.{stage}.model = {checkpoint.model!r}: too large for this GPU beside "
                    f"{', '.join(self.pipelines) or 'nothing'}; use one with more memory, or "
                    "--placement two-phase"
                ) from None
            self._check(stage, pipeline)
            self.pipelines[stage] = pipeline

    def identity(self) -> Mapping[Stage, ModelIdentity]:
        """Every stage's model with the checksum of each file that it is loaded from."""
        found: dict[Stage, ModelIdentity] = {}
        for stage in self._stages:
            checkpoint = self._checkpoint(stage)
            sums = checkpoint.sha256()
            lora = self._lora(stage)
            if lora:
                sums[f"{_LORA}{lora.name}"] = sha256_of([lora])[lora]
            unet = self._unet(stage)
            if unet:
                files = [unet / name for name in _UNET_FILES]
                sums |= {f"{_UNET}{path.name}": sha for path, sha in sha256_of(files).items()}
            found[stage] = ModelIdentity(
                model=checkpoint.model, revision=checkpoint.revision, weights=sums
            )
        return found

    def revisions(self) -> Mapping[Stage, tuple[str, str]]:
        """Every stage's model with its commit; a folder has the revision that settings give it."""
        found = {stage: self._checkpoint(stage) for stage in self._stages}
        return {stage: (one.model, one.revision) for stage, one in found.items()}

    def weight_bytes(self) -> int:
        """How much memory the models of all stages take, those that they share once."""
        number_bytes = getattr(torch, self._settings.dtype).itemsize
        found: dict[str, int] = {}
        for stage in self._stages:
            checkpoint = self._checkpoint(stage)
            for name, sum_ in checkpoint.sha256().items():
                found[sum_] = num_elements(checkpoint.folder / name) * number_bytes
        return sum(found.values())

    def resized(self, size_px: int) -> DiffusersGenerator:
        """The same pipelines, for another size."""
        other = copy.copy(self)
        other._size_px = size_px
        return other

    def gpu(self) -> str | None:
        """The model of the GPU that makes the pictures; None where the processor does."""
        return torch.cuda.get_device_name() if self._device == "cuda" else None

    def numerics(self) -> Mapping[str, str | int]:
        """Number format, text length, profile, threads and kind of device."""
        tokens = {
            family_of(self._checkpoint(stage)).fixed_tokens or self._settings.tokens_read
            for stage in self._stages
        }
        return {
            "dtype": self._settings.dtype,
            "text_tokens": ", ".join(map(str, sorted(tokens))) if len(tokens) > 1 else tokens.pop(),
            "profile": self._settings.profile,
            "threads": self._settings.threads,
            "device": self._device,
            **self._unusual(),
            **self._other_samplers(),
        }

    def _other_samplers(self) -> dict[str, str]:
        """Targets that are not sampled by what their model names."""
        off = "target" in self._stages and is_off_midway(self._checkpoint("target"))
        return {"target_scheduler": "ddim"} if off else {}

    def _unusual(self) -> dict[str, str | int]:
        """What is set otherwise than by default; before there was a choice, nobody noted it."""
        chosen, default = self._settings, DiffusersSettings()
        told = ("negative_prompt", "scheduler", "long_prompts")
        return {
            name: str(getattr(chosen, name))
            for name in told
            if getattr(chosen, name) != getattr(default, name)
        }

    def make(
        self, samples: Sequence[PlannedSample], given: Mapping[Stage, Pixels] | None = None
    ) -> Mapping[Stage, Pixels]:
        """The pictures of a batch for each loaded stage; targets of given sources, if there are."""
        # Of this thread alone, and a lease may come in another than the last one.
        torch.set_num_threads(self._settings.threads)
        given = given or {}
        made: dict[Stage, Pixels] = {}
        try:
            for stage in STAGES:
                if stage in self.pipelines and stage not in given:
                    source = {**given, **made}.get("source") if stage == "target" else None
                    made[stage] = self._pictures(stage, samples, source)
        except torch.cuda.OutOfMemoryError:
            # Every other batch would be too large as well.
            raise DoesNotFit(_too_large(len(samples), self._size_px)) from None
        return made

    def _pictures(
        self, stage: Stage, samples: Sequence[PlannedSample], source: Pixels | None
    ) -> Pixels:
        pipeline, settings = self.pipelines[stage], self._stage[stage]
        call: dict[str, Any] = {
            "height": self._size_px,
            "width": self._size_px,
            "num_inference_steps": settings.steps,
            "guidance_scale": settings.guidance,
            # On the processor, so that a seed means the same noise on every device.
            "generator": [torch.Generator().manual_seed(s.seeds[stage]) for s in samples],
            "output_type": "pt",
            "return_dict": False,
        }
        if stage == "target":
            call |= {"image": self._as_input(source, len(samples)), "strength": settings.strength}
            if pipeline.family.size_from_image:
                del call["height"], call["width"]
        # Without gradients from the start: encodings made with them differ in the last bits.
        with torch.no_grad():
            encoded = self._encode(pipeline, [s.prompt for s in samples], settings.guidance)
            pictures = pipeline.run(**encoded, **call)[0]
        floats = pictures.permute(0, 2, 3, 1).float().cpu().numpy()
        assert floats.shape == (len(samples), self._size_px, self._size_px, 3), floats.shape
        return to_pixels(floats)

    def _encode(self, pipeline: Pipeline, prompts: list[str], guidance: float) -> Encoded:
        """Prompts as the pipeline takes them, and the empty prompt where guidance asks for it."""
        family = pipeline.family
        tokens = family.fixed_tokens or self._settings.tokens_read
        call = dict(self._read(pipeline, prompts, tokens))
        if family.negative and guidance > 1:
            against = [self._settings.negative_prompt] * len(prompts)
            empty = self._read(pipeline, against, tokens)
            call |= {f"negative_{name}": value for name, value in empty.items()}
        if family.takes_tokens:
            call["max_sequence_length"] = tokens
        return call

    def _read(self, pipeline: Pipeline, prompts: list[str], tokens: int) -> Encoded:
        """What the text encoders make of prompts, once for all pipelines that read alike."""
        key = (pipeline.reads_like, tuple(prompts))
        if key not in self._encoded:
            negative = (self._settings.negative_prompt,) * len(prompts)
            if key[1] != negative:
                # The batch before is done with; the negative prompts come again.
                wanted = (key[1], negative)
                self._encoded = {k: it for k, it in self._encoded.items() if k[1] in wanted}
            self._encoded[key] = encode_prompts(
                pipeline.family,
                pipeline.run,
                prompts,
                tokens,
                cut=self._settings.long_prompts == "cut",
            )
        return self._encoded[key]

    def _as_input(self, source: Pixels | None, count: int) -> npt.NDArray[np.float32]:
        """The source as its published PNG holds it, which is all that a later phase would have."""
        if source is None:
            raise ValueError("stage.target: no source was loaded or given for it")
        wanted = (count, self._size_px, self._size_px, 3)
        if source.shape != wanted:
            raise ValueError(f"given source: has shape {source.shape}; it should be {wanted}")
        return np.divide(to_levels(source), 255, dtype=np.float32)

    def _checkpoint(self, stage: Stage) -> Checkpoint:
        return self._copies.get(stage) or self._found(stage)

    def _found(self, stage: Stage) -> Checkpoint:
        try:
            return find_checkpoint(self._stage[stage].model, self._stage[stage].revision)
        except ValueError as error:
            raise ValueError(f"stage.{stage}.model = {error}") from None

    def _lora(self, stage: Stage) -> Path | None:
        if stage != "source" or self._settings.lora is None:
            return None
        given = Path(self._settings.lora)
        file = given / DIFFUSERS if given.is_dir() else given
        # No other kind is read: nothing is unpickled from a file that a stranger made.
        if not file.is_file() or file.suffix != ".safetensors":
            raise ValueError(f"generator.lora = {str(file)!r}: no such .safetensors file")
        return file

    def _unet(self, stage: Stage) -> Path | None:
        if stage != "source" or self._settings.unet is None:
            return None
        folder = Path(self._settings.unet)
        for name in _UNET_FILES:
            if not (folder / name).is_file():
                raise ValueError(
                    f"generator.unet = {str(folder)!r}: has no {name}; name a UNet in diffusers' "
                    "layout, such as relume guide's RUN/unet"
                )
        return folder

    def _check(self, stage: Stage, pipeline: Pipeline) -> None:
        """Refuse what the pipeline would ignore or round without a word."""
        guidance, multiple = self._stage[stage].guidance, 2 * pipeline.run.vae_scale_factor
        if self._size_px % multiple:
            raise ValueError(
                f"dataset.size_px = {self._size_px}: {self._stage[stage].model} makes multiples of "
                f"{multiple} only"
            )
        if self._settings.negative_prompt and not pipeline.family.negative:
            raise ValueError(
                f"generator.negative_prompt = {self._settings.negative_prompt!r}: "
                f"{pipeline.family.name} ignores it; leave it out"
            )
        denoiser = getattr(pipeline.run, pipeline.family.denoiser)
        if guidance and denoiser.config.get("guidance_embeds") is False:
            raise ValueError(
                f"stage.{stage}.guidance = {guidance}: {self._stage[stage].model} "
                "ignores guidance; set it to 0"
            )


def to_pixels(floats: npt.NDArray[np.float32]) -> Pixels:
    """Levels; or the floats as they are, where one is no number and its sample has failed."""
    return to_levels(floats) if np.isfinite(floats).all() else floats


def to_levels(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """The levels that a PNG of these pixels holds."""
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(np.nan_to_num(pixels), 0, 1) * 255)
    return pixels.astype(np.uint8, copy=False)


def _too_large(batch_size: int, size_px: int) -> str:
    if batch_size < 2 * LEAST_BATCH:
        return (
            f"dataset.size_px = {size_px}: too large for this GPU at batch_size = {batch_size}; "
            "use one with more memory, --placement two-phase, or plan smaller pictures"
        )
    return (
        f"dataset.batch_size = {batch_size}: too large for this GPU; "
        f"plan into a new folder with --dataset.batch_size {batch_size // 2}"
    )
