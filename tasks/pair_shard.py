"""Making the face pairs of one shard, and staging them: find faces, paint them anew, paste.

What is painted together depends on the shard alone: faces of one noise factor, in the order of the
plan, in batches that are filled up. So every run makes the same bytes.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.faces.detection import FaceFinder
from models.faces.process import settle
from models.faces.weights import found_files, home_of, weight_sums
from models.stable_diffusion.inpainting import Inpainter
from schemas.endings import CannotGoOn
from schemas.facepairs import FacePairSettings, PairFace, told_numerics
from schemas.lease import Lease, StagedShard, Turn
from schemas.run import GeneratorRecord, ModelIdentity, Run
from schemas.sample import PlannedSample, Stage, StageImage
from shards import layout
from shards.encoding import read_parquet
from shards.pair_plan import picture_and_face
from shards.provenance import code_version, library_versions, processor
from shards.staging import Picture, ShardStage
from tasks.facepairs.faces import faces_of_use, mask_of
from tasks.generate_shard import ENCODER_THREADS, encode_png, fault_of, to_levels
from tasks.published_pictures import Undecodable, decoded, published_bytes

Levels = NDArray[np.uint8]
WITHHELD = "bad was withheld by the safety checker"
UNCHANGED = "bad is no other than good"


@dataclass(frozen=True, slots=True)
class PairConfig:
    """What a worker is told: from where to where, whose faces, and what paints them."""

    root: str
    dataset: str
    size_px: int
    settings: FacePairSettings
    record: GeneratorRecord
    # A folder of each node for a copy of the weights.
    weights_to: str | None = None


def pairing_record(
    run: Run, made_from: GeneratorRecord, settings: FacePairSettings, inpainter: Inpainter
) -> GeneratorRecord:
    """generator.json of a dataset of face pairs out of another dataset."""
    finder = settings.finder.deepface()
    return GeneratorRecord(
        plan_sha256=run.plan.sha256,
        truth=None,
        models={
            "good": made_from.models[settings.stage],
            "bad": inpainter.identity(),
            "mask": ModelIdentity(
                model=settings.finder.detector,
                revision=settings.finder.engine,
                weights=weight_sums(finder, finding_only=True),
            ),
        },
        numerics={
            "made_from": made_from.fingerprint(),
            "device": inpainter.device,
            **told_numerics(settings),
        },
        code=code_version(),
        libraries=library_versions(),
        processor=None if inpainter.device == "cuda" else processor(),
    )


class PairShard:
    """The worker that makes shards of face pairs."""

    def __init__(self, config: PairConfig) -> None:
        self._config, self._settings = config, config.settings
        self._root, self._dataset = Path(config.root), Path(config.dataset)
        self._inpainter = Inpainter(config.settings.inpaint)
        self._finder: FaceFinder | None = None
        self._free_since = 0.0

    def setup(self) -> dict[str, str]:
        """Load both models; CannotGoOn where they are not those of generator.json."""
        self._agree()
        finder = self._settings.finder.deepface()
        settle(finder.engine, home_of(finder), finder.threads)
        self._finder = FaceFinder(finder)
        if self._config.weights_to is not None:
            place = Path(self._config.weights_to)
            self._inpainter.copy_weights(place, self._config.record.models["bad"])
        self._inpainter.load()
        on = self._inpainter.gpu() or processor()
        return {"code": code_version(), "processor": on, **library_versions()}

    def run(self, lease: Lease, turn: Turn) -> StagedShard:
        """Make and stage the pairs of one shard."""
        rows = read_parquet(layout.rows_path(self._dataset, lease.shard)).to_pylist()
        by_id = {row["id"]: row for row in rows}
        with (
            ThreadPoolExecutor(ENCODER_THREADS) as encoders,
            ShardStage(
                self._root,
                lease,
                _shared(self._config.record, self._settings),
                size_px=self._config.size_px,
                made_by=self._config.record.fingerprint(),
            ) as stage,
        ):
            # Faces are looked for while the lease before still has its turn.
            judged = [one for of in _by_picture(lease) for one in self._judged(of, by_id)]
            found = [one for one in judged if isinstance(one, _Found)]
            with turn:
                begun = time.monotonic()
                made = dict(self._painted(found))
            encoded = encoders.map(lambda one: self._pictures(one, made), judged)
            for one, pictures in zip(judged, encoded, strict=True):
                if isinstance(pictures, str):
                    stage.fail(one.sample, pictures)
                else:
                    assert isinstance(one, _Found)
                    stage.add(one.sample, pictures, {"bad": one.face.factor})
            return stage.finish(self._spent_s(begun))

    def _agree(self) -> None:
        finder, wanted = self._settings.finder.deepface(), self._config.record.models
        found_files(finder, finding_only=True)
        seen = weight_sums(finder, finding_only=True)
        model, revision = self._inpainter.revision()
        if (
            seen != wanted["mask"].weights
            or (model, revision) != (wanted["bad"].model, wanted["bad"].revision)
            or self._inpainter.device != self._config.record.numerics["device"]
        ):
            raise CannotGoOn(
                f"{socket.gethostname()} sees other models than the driver, or another device: "
                f"{model} ({revision}) on {self._inpainter.device}; give all nodes the same"
            )

    def _spent_s(self, begun: float) -> float:
        """This lease's seconds of its worker; those that it shared count for the one before."""
        now = time.monotonic()
        spent_s = now - max(begun, self._free_since)
        self._free_since = now
        return spent_s

    def _judged(
        self, samples: Sequence[PlannedSample], rows: dict[str, dict[str, Any]]
    ) -> Iterator[_Found | _Refused]:
        """What becomes of the planned faces of one picture."""
        assert self._finder is not None, "setup() comes first"
        stage = self._settings.stage
        row = rows[picture_and_face(samples[0].id)[0]]
        if row["status"] != "ok":
            yield from (_Refused(one, f"no {stage}: {row['reason']}") for one in samples)
            return
        png = published_bytes(self._dataset, row, stage)
        try:
            levels = decoded(png)
        except Undecodable as error:
            yield from (_Refused(one, f"{stage} {error}") for one in samples)
            return
        # DeepFace takes what OpenCV reads: blue first.
        bgr = np.asarray(cv2.cvtColor(levels, cv2.COLOR_RGB2BGR), np.uint8)
        faces = faces_of_use(bgr, self._finder.seen(bgr), self._settings)
        good = Picture(png, row[f"{stage}_sha256"])
        prompt = self._settings.inpaint.prompt
        for one in samples:
            face = faces[picture_and_face(one.id)[1] - 1]
            if isinstance(face, str):
                yield _Refused(one, face)
            else:
                said = one.prompt if prompt is None else prompt
                mask = mask_of(face, self._config.size_px, self._settings.margin)
                yield _Found(one, face, good, levels, mask, said)

    def _painted(self, found: Sequence[_Found]) -> Iterator[tuple[str, Levels | str]]:
        """The bad picture of each face by its id, or why there is none."""
        size = self._settings.batch_size
        for factor in sorted({one.face.factor for one in found}):
            alike = [one for one in found if one.face.factor == factor]
            for start in range(0, len(alike), size):
                yield from self._batch(alike[start : start + size], factor)

    def _batch(self, batch: Sequence[_Found], factor: float) -> Iterator[tuple[str, Levels | str]]:
        # A batch of another size may give other bytes, so a short one is filled up.
        whole = [*batch, *[batch[-1]] * (self._settings.batch_size - len(batch))]
        painted = self._inpainter.paint(
            np.stack([one.levels for one in whole]),
            np.stack([one.mask for one in whole]),
            [one.prompt for one in whole],
            [one.sample.seeds["bad"] for one in whole],
            factor,
        )
        for one, pixels, withheld in zip(batch, painted.pixels, painted.withheld, strict=False):
            yield one.sample.id, WITHHELD if withheld else self._pasted(one, pixels)

    def _pasted(self, one: _Found, pixels: NDArray[np.float32]) -> Levels | str:
        fault = fault_of(pixels)
        if fault:
            return f"bad is {fault}"
        bad = to_levels(pixels)
        if self._settings.paste:
            bad = np.where(one.mask[:, :, None], bad, one.levels)
        if np.array_equal(bad[one.mask], one.levels[one.mask]):
            return UNCHANGED
        return bad

    def _pictures(
        self, one: _Found | _Refused, made: dict[str, Levels | str]
    ) -> dict[Stage, Picture] | str:
        """The files of a pair, or why there is none."""
        if isinstance(one, _Refused):
            return one.why
        bad = made[one.sample.id]
        if isinstance(bad, str):
            return bad
        mask = encode_png(one.mask.astype(np.uint8) * np.uint8(255))
        return {"good": one.good, "bad": encode_png(bad), "mask": mask}


@dataclass(frozen=True, slots=True)
class _Found:
    """A planned face that is there, with its picture as published and decoded."""

    sample: PlannedSample
    face: PairFace
    good: Picture
    levels: Levels
    mask: NDArray[np.bool_]
    prompt: str


@dataclass(frozen=True, slots=True)
class _Refused:
    """A planned face that is not there or of no use."""

    sample: PlannedSample
    why: str


def _by_picture(lease: Lease) -> Iterator[Sequence[PlannedSample]]:
    """The planned faces of each picture, which lie together in a plan."""
    for _, samples in groupby(lease.samples, lambda one: picture_and_face(one.id)[0]):
        yield list(samples)


def _shared(record: GeneratorRecord, settings: FacePairSettings) -> dict[Stage, StageImage]:
    """What all pictures of a stage share; a bad one's strength is its own."""
    steps: dict[Stage, tuple[int, float]] = {
        "good": (1, 0.0),
        "bad": (settings.inpaint.steps, settings.inpaint.guidance),
        "mask": (1, 0.0),
    }
    return {
        stage: StageImage(
            seed=0,
            model=record.models[stage].model,
            revision=record.models[stage].revision,
            steps=num,
            guidance=guidance,
        )
        for stage, (num, guidance) in steps.items()
    }
