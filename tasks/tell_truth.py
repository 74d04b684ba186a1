"""What the procedural painter draws: the attributes of every planned sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from models.generators.procedural.painter import gap_strengths
from models.generators.procedural.people import draw_people
from schemas.config import DatasetConfig
from schemas.generator import ProceduralSettings
from schemas.sample import stages_of
from schemas.truth import AGE_GROUPS, ETHNICITIES, GENDERS, HAIR_STYLES, TRUTH_SCHEMA

# People drawn at once: enough for numpy, little memory whatever the plan's size.
CHUNK_ROWS = 1 << 15


def truth_tables(config: DatasetConfig, plan: pa.Table) -> Iterator[pa.Table] | None:
    """Rows for each sample of the plan, in its order; None where nobody knows the truth."""
    if not isinstance(config.generator, ProceduralSettings):
        return None
    settings = config.generator
    starts = range(0, plan.num_rows, CHUNK_ROWS)
    return (_truth(settings, plan.slice(start, CHUNK_ROWS)) for start in starts)


def _truth(settings: ProceduralSettings, plan: pa.Table) -> pa.Table:
    stages = stages_of(plan.schema)
    # A target shows the person of its source.
    first = "source" if "source" in stages else stages[0]
    people = draw_people(
        plan.column("prompt").to_pylist(), plan.column(f"{first}_seed").to_pylist()
    )
    gap = pa.nulls(plan.num_rows, pa.float32())
    if "target" in stages:
        seeds = plan.column("target_seed").to_pylist()
        gap = pa.array(gap_strengths(seeds, settings.gap, settings.gap_kind), pa.float32())
    columns = {
        "id": plan.column("id"),
        "gender": np.array(GENDERS)[people.gender],
        "age": people.age.astype(np.int16),
        "age_group": np.array(AGE_GROUPS)[people.age_group],
        "ethnicity": np.array(ETHNICITIES)[people.ethnicity],
        "skin_tone": people.skin_tone.astype(np.float32),
        "hair_style": np.array(HAIR_STYLES)[people.hair_style],
        "beard": people.beard.astype(np.float32),
        "glasses": people.glasses > 0,
        "light": people.light.astype(np.float32),
        "gap": gap,
    }
    return pa.table(columns).cast(TRUTH_SCHEMA)
