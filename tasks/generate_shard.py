"""Making the pictures of one shard, and staging it."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.generators.build import build_generator
from models.generators.generator import Generator, Pixels
from schemas.config import DatasetConfig
from schemas.endings import CannotGoOn
from schemas.lease import Lease, StagedShard, Turn
from schemas.run import GeneratorRecord
from schemas.sample import PlannedSample, Stage, StageImage
from shards.provenance import code_version, library_versions, processor
from shards.sources import Source, read_sources
from shards.staging import Picture, ShardStage, picture

Sources = dict[str, Source]

# Encoding lets go of the interpreter, so a few threads keep up with painting.
ENCODER_THREADS = 2
# zlib's fastest level: 512 px noise costs a third of the default's time for 3 % more bytes.
PNG_LEVEL = 1
# A picture whose levels span less than this shows nothing.
FLAT_LEVELS = 3
BLACK_LEVEL = 2


@dataclass(frozen=True, slots=True)
class GenerateConfig:
    """What a worker is told: where the dataset lies, and what it is."""

    dataset: str
    config: DatasetConfig
    record: GeneratorRecord
    # The dataset whose published sources are taken, where they were made before.
    sources: str | None = None
    # A folder of each node for a copy of the weights.
    weights_to: str | None = None


class GenerateShard:
    """The worker that makes shards of pictures."""

    def __init__(self, config: GenerateConfig) -> None:
        self._dataset = Path(config.dataset)
        self._config, self._record = config.config, config.record
        self._sources = None if config.sources is None else Path(config.sources)
        self._weights_to = None if config.weights_to is None else Path(config.weights_to)
        self.generator: Generator = build_generator(config.config)
        # When the lease before was finished; this one may have begun while it was.
        self._free_since = 0.0

    def setup(self) -> dict[str, str]:
        """Load the models; CannotGoOn where they are not those of generator.json."""
        revisions = {stage: (m.model, m.revision) for stage, m in self._record.models.items()}
        numerics = self.generator.numerics()
        agreed = {key: self._record.numerics[key] for key in numerics}
        if self.generator.revisions() != revisions or numerics != agreed:
            raise CannotGoOn(
                f"{socket.gethostname()} would make pictures with {self.generator.revisions()} and "
                f"{numerics}, the driver with {revisions} and {agreed}; give all nodes the same "
                "code, models and devices"
            )
        if self._weights_to is not None:
            self.generator.copy_weights(self._weights_to, self._record.models)
        given = () if self._sources is None else ("source",)
        self.generator.load([stage for stage in self._config.dataset.stages if stage not in given])
        on = self.generator.gpu() or processor()
        return {"code": code_version(), "processor": on, **library_versions()}

    def run(self, lease: Lease, turn: Turn) -> StagedShard:
        """Make and stage one shard."""
        sources = None if self._sources is None else read_sources(self._sources, lease.shard)
        size_px = self._config.dataset.size_px
        with (
            ThreadPoolExecutor(ENCODER_THREADS) as encoders,
            ShardStage(
                self._dataset,
                lease,
                self._shared_images(),
                size_px=size_px,
                made_by=self._record.fingerprint(),
            ) as stage,
        ):
            before: list[_Made] = []
            with turn:
                begun = time.monotonic()
                for batch in self._batches(lease.samples):
                    made = list(self._make(batch, sources, encoders))
                    # While this batch was made, the one before it was encoded.
                    _put(stage, before)
                    before = made
            # The next lease has its turn while the last batch is encoded, written and hashed.
            _put(stage, before)
            return stage.finish(self._spent_s(begun))

    def _spent_s(self, begun: float) -> float:
        """This lease's seconds of its worker; those that it shared count for the one before."""
        now = time.monotonic()
        spent_s = now - max(begun, self._free_since)
        self._free_since = now
        return spent_s

    def _batches(self, samples: Sequence[PlannedSample]) -> Iterator[Sequence[PlannedSample]]:
        size = self._config.dataset.batch_size
        return (samples[start : start + size] for start in range(0, len(samples), size))

    def _make(
        self,
        batch: Sequence[PlannedSample],
        sources: Sources | None,
        encoders: ThreadPoolExecutor,
    ) -> Iterator[_Made]:
        # A batch of another size may give other bytes, so the last one is filled up.
        missing = self._config.dataset.batch_size - len(batch)
        whole = [*batch, *[batch[-1]] * missing]
        given: dict[Stage, Pixels] = {}
        if sources is not None:
            given["source"] = self._decoded(whole, sources)
        pictures = self.generator.make(whole, given)
        for number, sample in enumerate(batch):
            source = None if sources is None else sources[sample.id]
            wanted = [s for s in self._config.dataset.stages if source is None or s != "source"]
            mine = {stage: pictures[stage][number] for stage in wanted}
            faults = {stage: fault_of(pixels) for stage, pixels in mine.items()}
            fault = next((f"{s} is {fault}" for s, fault in faults.items() if fault), None)
            if source is not None:
                fault = source.reason or fault
            pngs = {} if fault else {s: encoders.submit(encode_png, p) for s, p in mine.items()}
            copied = None if source is None else Picture(source.png, source.sha256)
            yield _Made(sample, fault, pngs, copied)

    def _decoded(self, batch: Sequence[PlannedSample], sources: Sources) -> Pixels:
        """Published sources as pixels; black where there is none, whose target nobody will see."""
        size_px = self._config.dataset.size_px
        pixels = np.zeros((len(batch), size_px, size_px, 3), np.uint8)
        for number, sample in enumerate(batch):
            if sources[sample.id].reason is None:
                pixels[number] = np.asarray(Image.open(io.BytesIO(sources[sample.id].png)))
        return pixels

    def _shared_images(self) -> dict[Stage, StageImage]:
        revisions = self.generator.revisions()
        return {
            name: StageImage(
                seed=0,
                model=revisions[name][0],
                revision=revisions[name][1],
                steps=stage.steps,
                guidance=stage.guidance,
                strength=stage.strength,
            )
            for name, stage in self._config.stage.items()
        }


@dataclass(frozen=True, slots=True)
class _Made:
    sample: PlannedSample
    fault: str | None
    pngs: dict[Stage, Future[Picture]]
    source: Picture | None

    def pictures(self) -> dict[Stage, Picture]:
        """The encoded pictures, and the source that was copied."""
        copied: dict[Stage, Picture] = {} if self.source is None else {"source": self.source}
        return copied | {stage: png.result() for stage, png in self.pngs.items()}


def _put(stage: ShardStage, batch: Sequence[_Made]) -> None:
    """Append what was made to the shard; waits for what is still being encoded."""
    for made in batch:
        if made.fault:
            stage.fail(made.sample, made.fault)
        else:
            stage.add(made.sample, made.pictures())


def fault_of(pixels: Pixels) -> str | None:
    """Why a picture is no picture; None when it may be one."""
    if not np.isfinite(pixels).all():
        return "not a number"
    levels = to_levels(pixels)
    if levels.max() <= BLACK_LEVEL:
        return "black"
    if int(levels.max()) - int(levels.min()) < FLAT_LEVELS:
        return "flat"
    return None


def to_levels(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Pixels as the levels that a PNG holds."""
    levels = pixels if pixels.dtype == np.uint8 else np.rint(np.clip(pixels, 0, 1) * 255)
    return levels.astype(np.uint8, copy=False)


def encode_png(pixels: Pixels) -> Picture:
    """A picture as PNG bytes, with no time in them."""
    sink = io.BytesIO()
    Image.fromarray(to_levels(pixels)).save(sink, "PNG", compress_level=PNG_LEVEL)
    return picture(sink.getvalue())
