"""A LoRA's training as it travels to a job: settings and places alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from schemas.lora import LoraConfig
from shards.layout import RUN
from workflows.console import Console, counted
from workflows.run_training import RunTraining

if TYPE_CHECKING:
    from tasks.train_lora import LoraJob


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLoraTraining(RunTraining):
    """What a LoRA's training is told on the command line."""

    verb: ClassVar[str] = "lora"
    leaves: ClassVar[str] = "adapter"
    hint: ClassVar[str] = "sheet.png: each prompt without the adapter and with it"

    config: LoraConfig
    dataset: Path
    captions: Path | None

    @property
    def reads(self) -> tuple[Path, ...]:
        """The dataset, the captions where there are some, and the model where it is a folder."""
        model = Path(self.config.model)
        others = (self.captions, model if model.is_dir() else None)
        return (self.dataset, *(one for one in others if one is not None))

    def job(self) -> LoraJob:
        """What a training process is told."""
        from tasks.train_lora import LoraJob

        return LoraJob(
            config=self.config, dataset=self.dataset, run=self.run, captions=self.captions
        )

    def agree(self, processes: int, console: Console) -> None:
        """Fix what the run is made by, or agree with it; and say what has no text."""
        from tasks.training.ranks import Ranks

        new = not (self.run / RUN).exists()
        # The base class by name: a slotted dataclass is made anew, which super() does not know.
        RunTraining.agree(self, processes, console)
        samples, asked = self.job().samples(Ranks()), self.config.data.images
        if new:  # every later start would count the same
            self._say_what_is_cut(samples.texts(), console)
        there = len(samples.ids())
        if asked is not None and there < asked:
            console.warn(f"data.images asks for {asked:,} pictures, and {there:,} can be learned")
        missing = samples.without_text()
        if missing:
            told = ", ".join(f"{count:,} {why}" for why, count in missing.items())
            done = {"skip": "left out", "empty": "learned without one where they are drawn"}
            how = done.get(self.config.data.no_text, "not among those that are learned")
            pictures = counted(sum(missing.values()), "picture")
            console.warn(f"{pictures} of train have no text ({told}): {how}")

    def _say_what_is_cut(self, texts: Sequence[str], console: Console) -> None:
        from models.captioner.clip_length import MOST_TOKENS, ClipLength
        from models.stable_diffusion.parts import find_parts

        model = find_parts(self.config.model, self.config.revision, "lora.model").folder
        lengths = ClipLength(model / "tokenizer")(texts)
        cut = sum(length > MOST_TOKENS for length in lengths)
        if cut:
            told = f"{cut:,} of {counted(len(texts), 'text')} have more than {MOST_TOKENS} tokens"
            console.warn(f"{told}: their ends are not learned")
