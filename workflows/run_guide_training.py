"""A model's guidance as it travels to a job: settings and places alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from schemas.guide import GuideConfig
from workflows.run_training import RunTraining

if TYPE_CHECKING:
    from tasks.train_guidance import GuideJob


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGuideTraining(RunTraining):
    """What guidance is told on the command line."""

    verb: ClassVar[str] = "guide"
    leaves: ClassVar[str] = "unet"
    hint: ClassVar[str] = "metrics.jsonl: the loss of held-out pairs after each epoch"

    config: GuideConfig
    dataset: Path
    selection: Path | None

    @property
    def reads(self) -> tuple[Path, ...]:
        """The pairs, the models that are folders, and the selection where there is one."""
        distance = self.config.distance
        models = [self.config.model, *([distance.model] if distance.kind == "dino" else [])]
        return (
            self.dataset,
            *(Path(one) for one in models if Path(one).is_dir()),
            *(() if self.selection is None else (self.selection,)),
        )

    def job(self) -> GuideJob:
        """What a training process is told."""
        from schemas.run import FileIdentity
        from shards.filesystem import file_facts
        from tasks.selection_file import read_selection, selected_ids
        from tasks.train_guidance import GuideJob

        selection, selected_by = None, None
        if self.selection is not None:
            selection = selected_ids(read_selection(self.selection, self.dataset))
            sha256 = file_facts(self.selection).sha256
            selected_by = FileIdentity(sha256=sha256, rows=len(selection))
        return GuideJob(
            config=self.config,
            dataset=self.dataset,
            run=self.run,
            selection=selection,
            selected_by=selected_by,
        )
