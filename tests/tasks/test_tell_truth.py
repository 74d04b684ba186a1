from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from models.generators.procedural.people import draw_people
from schemas.config import dataset_config, read_preset
from schemas.truth import GENDERS, TRUTH_SCHEMA
from shards.plan import make_plan
from shards.run import read_planned
from shards.truth import publish_truth, truth_identity, what_is_wrong_with_truth
from tasks.tell_truth import truth_table


def test_truth_lies_beside_the_rows(generated: Path) -> None:
    truth = pq.read_table(generated / "truth.parquet")
    assert truth.schema.equals(TRUTH_SCHEMA, check_metadata=True)
    manifest = pq.read_table(generated / "manifest.parquet")
    assert truth.column("id").equals(manifest.column("id"))
    people = draw_people(
        manifest.column("prompt").to_pylist(), manifest.column("source_seed").to_pylist()
    )
    assert truth.column("gender").to_pylist() == [GENDERS[n] for n in people.gender]
    assert set(truth.column("gap").to_pylist()) == {1.0}


def test_a_teacher_has_no_gap_and_a_diffusion_model_no_truth(small_config: Path) -> None:
    demo = read_preset(Path("configs/demo.toml"))
    config = dataset_config(demo, "baseline", "demo")
    table = truth_table(config, make_plan(config, None))
    assert table is not None
    assert table.column("gap").null_count == 128
    paper = dataset_config(read_preset(Path("configs/paper.toml")), "baseline", "paper")
    assert truth_table(paper, make_plan(paper, None).slice(0, 4)) is None


def test_another_truth_is_not_published(generated: Path) -> None:
    run, plan = read_planned(generated)
    table = truth_table(run.config, plan)
    wanted = truth_identity(table)
    (generated / "truth.parquet").unlink()
    publish_truth(generated, wanted, lambda: table)
    assert what_is_wrong_with_truth(generated, wanted) is None
    (generated / "truth.parquet").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"truth\.parquet: is not the truth that generator\.json"):
        publish_truth(generated, wanted, lambda: table)
