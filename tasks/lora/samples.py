"""The pictures that a LoRA's training has, phase by phase, and those that it is measured on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from schemas.lora import LoraConfig
from schemas.sample import Stage
from schemas.settings import fingerprint
from shards.plan import read_plan
from shards.reader import Reader
from tasks.lora.pictures import Photos, the_only_stage
from tasks.lora.sampling import PhotoOrder, check_portions, portions
from tasks.lora.texts import Texts, texts_of
from tasks.training.ranks import Ranks
from tasks.training.sampling import Positions, training_positions


@dataclass(frozen=True)
class LoraSamples:
    """Finished samples of train, in portions, and of validation; never of test."""

    dataset: Path
    captions: Path | None
    config: LoraConfig
    ranks: Ranks

    @cached_property
    def portions(self) -> list[Photos]:
        """The pictures of each phase, in the order of the plan's draw."""
        data = self.config.data
        reader, texts = self._train
        plan = read_plan(self.dataset)
        ids = reader.rows.column("id").to_pylist()
        drawn = [ids[place] for place in training_positions(ids, plan, None, None)]
        settled = texts.settle(drawn, data.no_text, data.images, str(self.captions or self.dataset))
        positions = np.array([reader.position(one) for one in settled], dtype=np.int64)
        found = [
            self._photos(reader, texts, portion)
            for portion in portions(positions, data.phase_images)
        ]
        if not found:
            raise ValueError(
                f"{self.dataset}: none of {len(drawn)} pictures of train has a text to learn with; "
                "give --captions, or learn without texts: --data.no-text empty"
            )
        check_portions([len(one) for one in found], self.step_images, str(self.dataset))
        return found

    @cached_property
    def measured(self) -> Photos:
        """The pictures whose loss is measured, spread over the whole split, always the same."""
        if self.config.validation.of == "train":
            reader, texts = self._train
            ids = self.ids()
        else:
            reader, texts = self._validation
            ids = self._held_out()
        count = min(self.config.validation.count, len(ids))
        spread = np.linspace(0, len(ids) - 1, count).astype(int)
        positions = np.array([reader.position(ids[place]) for place in spread], dtype=np.int64)
        return self._photos(reader, texts, positions)

    @property
    def step_images(self) -> int:
        """Pictures of a step over all processes."""
        return self.config.data.step_images * self.ranks.count

    @property
    def size_px(self) -> int:
        """Width and height of the pictures."""
        return int(self._train[0].row(0)["size_px"])

    def order(self, phase: int, timesteps: int) -> PhotoOrder:
        """The order of a phase's pictures."""
        data = self.config.data
        return PhotoOrder(
            count=len(self.portions[phase]),
            batch_size=self.step_images,
            seed=self.config.seed,
            flip=data.flip,
            text_dropout=data.text_dropout,
            timesteps=timesteps,
        )

    def num_steps(self, phase: int) -> int:
        """Steps of an epoch of a phase."""
        return len(self.portions[phase]) // self.step_images

    def ids(self) -> list[str]:
        """The samples that are learned from."""
        return [one.id(sample) for one in self.portions for sample in range(len(one))]

    def texts(self) -> list[str]:
        """Their texts, in the same order."""
        return [text for one in self.portions for text in one.texts]

    def shards(self) -> list[str]:
        """The shards that hold them."""
        reader = self._train[0]
        places = sorted({int(place) for one in self.portions for place in one.positions})
        found: list[str] = reader.rows.column("shard").take(places).unique().to_pylist()
        return found

    def texts_fingerprint(self) -> str:
        """One number for the texts of train and validation, whoever changes them in between."""
        texts = {"train": self._train[1].by_id}
        if self.config.validation.of == "validation":
            texts["validation"] = self._validation[1].by_id
        return fingerprint(texts)

    def without_text(self) -> dict[str, int]:
        """How many finished samples of train have no text, by reason."""
        reader, texts = self._train
        return texts.counts(reader.rows.column("id").to_pylist())

    @cached_property
    def _train(self) -> tuple[Reader, Texts]:
        reader = Reader(self.dataset, "train")
        return reader, texts_of(self.dataset, reader, self._stage(reader), self.captions)

    @cached_property
    def _validation(self) -> tuple[Reader, Texts]:
        reader = Reader(self.dataset, "validation")
        if not len(reader):
            raise ValueError(
                f"{self.dataset}: has no finished picture of validation; plan some with "
                '--split.validation, or set validation.of = "train"'
            )
        return reader, texts_of(self.dataset, reader, self._stage(reader), self.captions)

    def _held_out(self) -> list[str]:
        reader, texts = self._validation
        ids: list[str] = reader.rows.column("id").to_pylist()
        where = f"{self.captions or self.dataset}, validation"
        found = texts.settle(ids, self.config.data.no_text, None, where)
        if not found:
            raise ValueError(f"{where}: none of {len(ids):,} pictures has a text; caption some")
        return found

    def _photos(self, reader: Reader, texts: Texts, positions: Positions) -> Photos:
        ids = reader.rows.column("id").take(positions).to_pylist()
        return Photos(reader, self._stage(reader), positions, [texts.of(one) for one in ids])

    def _stage(self, reader: Reader) -> Stage:
        return the_only_stage(self.dataset, reader.stages, self.config.data.stage)
