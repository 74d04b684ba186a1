"""The procedural painter as a generator: pictures without weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.generators.generator import Pixels
from models.generators.procedural.painter import (
    PAINTER_REVISION,
    paint_pairs,
    paint_source,
    paint_teacher,
)
from models.generators.procedural.people import draw_people
from schemas.config import DatasetConfig
from schemas.generator import ProceduralSettings
from schemas.run import ModelIdentity
from schemas.sample import PlannedSample, Stage

MODEL = "procedural"


class ProceduralGenerator:
    """Paints sources, targets and teachers from prompts and seeds."""

    def __init__(self, config: DatasetConfig) -> None:
        """Refuse settings that this painter would not follow."""
        assert isinstance(config.generator, ProceduralSettings)
        self._settings = config.generator
        self._stages, self._size_px = config.dataset.stages, config.dataset.size_px
        for stage in self._stages:
            given = config.stage[stage]
            for field, value, wanted in (
                ("model", given.model, MODEL),
                ("revision", given.revision, PAINTER_REVISION),
            ):
                if value != wanted:
                    raise ValueError(
                        f"stage.{stage}.{field} = {value!r}: this painter is {wanted!r}"
                    )

    def copy_weights(self, place: Path, models: Mapping[str, ModelIdentity]) -> None:
        """Nothing to copy."""

    def load(self, stages: Sequence[Stage] | None = None) -> None:
        """Nothing to load."""

    def weight_bytes(self) -> int:
        """None."""
        return 0

    def identity(self) -> Mapping[Stage, ModelIdentity]:
        """The painter's revision for every stage."""
        model = ModelIdentity(model=MODEL, revision=PAINTER_REVISION, weights={})
        return dict.fromkeys(self._stages, model)

    def revisions(self) -> Mapping[Stage, tuple[str, str]]:
        """The painter's revision for every stage."""
        return dict.fromkeys(self._stages, (MODEL, PAINTER_REVISION))

    def resized(self, size_px: int) -> ProceduralGenerator:
        """The same painter, for another size."""
        other = copy.copy(self)
        other._size_px = size_px
        return other

    def gpu(self) -> None:
        """The painter uses the processor."""

    def numerics(self) -> Mapping[str, str | int]:
        """Single precision, one thread; every picture is painted by itself."""
        return {"dtype": "float32", "threads": 1}

    def make(
        self, samples: Sequence[PlannedSample], given: Mapping[Stage, Pixels] | None = None
    ) -> Mapping[Stage, Pixels]:
        """The pictures of a batch; a target shows the person of its source, given or not."""
        prompts = [sample.prompt for sample in samples]
        gap, kind = self._settings.gap, self._settings.gap_kind
        made: dict[Stage, Pixels] = {}
        if "source" in self._stages:
            people = draw_people(prompts, _seeds(samples, "source"))
            if "target" in self._stages:
                made["source"], made["target"] = paint_pairs(
                    people, _seeds(samples, "target"), self._size_px, gap, kind
                )
            else:
                made["source"] = paint_source(people, self._size_px)
        if "teacher" in self._stages:
            seeds = _seeds(samples, "teacher")
            made["teacher"] = paint_teacher(prompts, seeds, self._size_px, gap)
        return made


def _seeds(samples: Sequence[PlannedSample], stage: Stage) -> list[int]:
    return [sample.seeds[stage] for sample in samples]
