"""A head's training as it travels to a job: settings and places alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from schemas.train import TrainConfig
from workflows.run_training import RunTraining

if TYPE_CHECKING:
    from tasks.train_head import TrainJob


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeadTraining(RunTraining):
    """What a head's training is told on the command line."""

    verb: ClassVar[str] = "train"
    leaves: ClassVar[str] = "head"
    hint: ClassVar[str] = "grids: source, output and target of each epoch"

    config: TrainConfig
    dataset: Path
    selection: Path | None
    weights: Path

    @property
    def reads(self) -> tuple[Path, ...]:
        """The dataset, and the selection where there is one."""
        return (self.dataset, *(() if self.selection is None else (self.selection,)))

    def job(self) -> TrainJob:
        """What a training process is told."""
        from schemas.run import FileIdentity
        from shards.filesystem import file_facts
        from tasks.selection_file import read_selection, selected_ids
        from tasks.train_head import TrainJob

        selection, selected_by = None, None
        if self.selection is not None:
            selection = selected_ids(read_selection(self.selection, self.dataset))
            sha256 = file_facts(self.selection).sha256
            selected_by = FileIdentity(sha256=sha256, rows=len(selection))
        return TrainJob(
            config=self.config,
            dataset=self.dataset,
            run=self.run,
            selection=selection,
            selected_by=selected_by,
            weights=self.weights,
        )
