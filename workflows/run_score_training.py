"""A scorer's training as it travels to a job: settings and places alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from schemas.score_train import ScoreTrainConfig
from workflows.run_training import RunTraining

if TYPE_CHECKING:
    from tasks.train_scorer import ScoreJob


@dataclass(frozen=True, slots=True, kw_only=True)
class RunScoreTraining(RunTraining):
    """What a scorer's training is told on the command line."""

    verb: ClassVar[str] = "facescore train"
    leaves: ClassVar[str] = "scorer"
    hint: ClassVar[str] = "metrics.jsonl: loss and pair accuracy of each epoch on validation"

    config: ScoreTrainConfig
    dataset: Path

    @property
    def reads(self) -> tuple[Path, ...]:
        """The dataset, and the weights that it begins from."""
        return self.dataset, Path(self.config.scorer)

    def job(self) -> ScoreJob:
        """What a training process is told."""
        from tasks.train_scorer import ScoreJob

        return ScoreJob(config=self.config, dataset=self.dataset, run=self.run)


def absolute(config: ScoreTrainConfig) -> ScoreTrainConfig:
    """The same with a place of weights that holds wherever the run goes on."""
    return replace(config, scorer=str(Path(config.scorer).absolute()))
