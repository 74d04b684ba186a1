"""A small dataset out of a plan: the same samples with the same seeds, in shards of their own."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from schemas.sample import Split
from shards import layout


def pilot_plan(plan: pa.Table, count: int, shard_size: int) -> pa.Table:
    """Some rows of a plan, spread evenly over it, and put into shards anew."""
    if not 1 <= count <= plan.num_rows:
        raise ValueError(f"--limit {count}: should be from 1 to {plan.num_rows}, the whole plan")
    chosen = plan.take(np.arange(count) * plan.num_rows // count)
    seen: Counter[Split] = Counter()
    shards, indexes = [], []
    for split in chosen.column("split").to_pylist():
        number, index = divmod(seen[split], shard_size)
        shards.append(layout.shard_name(split, number))
        indexes.append(index)
        seen[split] += 1
    for name, values in (("shard", shards), ("index", indexes)):
        at = chosen.schema.get_field_index(name)
        field = chosen.schema.field(at)
        chosen = chosen.set_column(at, field, pa.array(values, field.type))
    return chosen
