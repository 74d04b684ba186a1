"""What `relume evaluate` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from schemas.evaluate import EvaluatedSplit
from workflows.workers import WorkerArguments


@dataclass(frozen=True, kw_only=True)
class Arguments(WorkerArguments):
    """Compare rows of pictures with targets and teacher on prompts that nobody trained on.

    It opens test, and notes that beside the dataset. What has been looked at is kept, so the same
    command continues, and a row more is looked at alone.
    """

    config: tyro.conf.Positional[Path]
    """preset with a section [evaluate], for example configs/demo.toml"""
    out: Path
    """folder for tables, figures and features"""
    root: Path = Path()
    """folder that the paths in [evaluate] begin at"""
    features: Path | None = None
    """store of features, which several evaluations may share; without it OUT/features"""
    split: EvaluatedSplit | None = None
    """validation rehearses without opening test; without it as the config says"""
    prompts: tuple[Path, ...] = ()
    """files of prompts outside the domain, a line each: pictures of them are made and judged"""
    json: Annotated[bool, tyro.conf.arg(help="print the report as JSON")] = False

    @property
    def store(self) -> Path:
        """Where features are kept."""
        return self.features or self.out / "features"
