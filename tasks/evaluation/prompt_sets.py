"""Files of prompts outside the domain, and the small datasets that are planned of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from metrics.subsampling import LEAST
from schemas.config import DatasetConfig, SplitSettings
from schemas.name import NAME_SCHEMA, Name
from schemas.records import to_table
from schemas.run import FileIdentity, Run
from shards.encoding import parquet_bytes, sha256
from shards.plan import make_plan
from shards.provenance import code_version, library_versions
from shards.run import publish_run

# Fewer are no domain.
LEAST_PROMPTS = 8
_LONGEST = 1000


def read_prompts(path: Path) -> list[str]:
    """The prompts of a file: a line each, without empty lines and those that begin with #."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}; correct --prompts") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is no text in UTF-8: {error}; correct --prompts") from None
    prompts = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for prompt in prompts:
        if prompts.count(prompt) > 1:
            raise ValueError(f"{path}: {prompt!r} stands twice; leave one out")
        if len(prompt) > _LONGEST:
            raise ValueError(f"{path}: {prompt[:40]!r}... has {len(prompt)} letters; shorten it")
    if len(prompts) < LEAST_PROMPTS:
        raise ValueError(f"{path}: has {len(prompts)} prompts; give at least {LEAST_PROMPTS}")
    return prompts


def plan_prompts(folder: Path, path: Path, like: DatasetConfig, pictures_per_prompt: int) -> None:
    """Plan the pairs of a file's prompts, all of them in test, by the models of another dataset."""
    prompts = read_prompts(path)
    name = re.sub("[^A-Za-z0-9_-]", "-", path.stem)[:40]
    config = replace(
        like,
        name=name,
        fractions=(),
        split=SplitSettings(train=0, validation=0, test=1),
        stage={stage: like.stage[stage] for stage in ("source", "target")},
        dataset=replace(
            like.dataset,
            prompt="{name}",
            count=len(prompts) * pictures_per_prompt,
            images_per_name=pictures_per_prompt,
            stages=("source", "target"),
            splits=("test",),
        ),
    )
    rows = [
        Name(nconst=f"{name}-{number:04d}", name=prompt, birth_year=None, professions=[])
        for number, prompt in enumerate(prompts)
    ]
    table = to_table(rows, NAME_SCHEMA)
    plan = make_plan(config, table, str(path))
    halves = plan["half"].to_pylist()
    if min(halves.count("A"), halves.count("B")) < LEAST:
        raise ValueError(
            f"{path}: {len(prompts)} prompts of {pictures_per_prompt} pictures leave a half with "
            f"less than {LEAST}; give more prompts, or raise evaluate.pictures_per_prompt"
        )
    data = parquet_bytes(plan)
    names = FileIdentity(sha256=sha256(parquet_bytes(table)), rows=table.num_rows)
    publish_run(
        folder,
        Run(
            config=config,
            plan=FileIdentity(sha256=sha256(data), rows=plan.num_rows),
            names=names,
            code=code_version(),
            libraries=library_versions(),
        ),
        data,
    )
