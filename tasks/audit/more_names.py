"""Which kinds of names to draw more of, by what the audited names brought."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from metrics.name_draws import NamePlan, count_brought, plan_draws
from metrics.targets import Target, target_cells
from schemas.sample import Stage
from shards.encoding import read_parquet
from tasks.audit.population import populations
from tasks.names.kinds import KindBy, name_kinds


def more_names(
    rows: pa.Table, stage: Stage, names: Path, by: KindBy, target: Target, tolerance: float
) -> NamePlan:
    """The draws that bring the audited pictures of a stage to a target.

    The id of a sample begins with that of its name.
    """
    table = read_parquet(names)
    kinds = name_kinds(table, by)
    population = next(one for one in populations(rows, "audit") if one.stage == stage)
    cells = target_cells(population.codes, target)
    kind_of = [kinds.get(one.partition("-")[0]) for one in population.ids]
    if not any(kind_of):
        raise ValueError(f"{names}: has none of the audited names; give the file of relume plan")
    labels, brought = count_brought(kind_of, cells, len(target.cells))
    return plan_draws(labels, brought, target, tolerance=max(tolerance, 1e-6))
