from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.generators.procedural.people import draw_people
from schemas.config import dataset_config, read_preset
from schemas.truth import GENDERS, TRUTH_SCHEMA
from shards.plan import make_plan
from shards.run import read_generator, read_planned
from shards.truth import publish_truth, staged_truth, what_is_wrong_with_truth
from tasks import tell_truth
from tasks.tell_truth import truth_tables


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
    tables = truth_tables(config, make_plan(config, None))
    assert tables is not None
    assert sum(table.column("gap").null_count for table in tables) == 128
    paper = dataset_config(read_preset(Path("configs/paper.toml")), "baseline", "paper")
    assert truth_tables(paper, make_plan(paper, None).slice(0, 4)) is None


def test_it_does_not_matter_how_many_are_drawn_at_once(
    generated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, plan = read_planned(generated)
    monkeypatch.setattr(tell_truth, "CHUNK_ROWS", 7)
    tables = truth_tables(run.config, plan)
    assert tables is not None
    assert pa.concat_tables(tables).equals(pq.read_table(generated / "truth.parquet"))


def test_another_truth_is_not_published(generated: Path) -> None:
    run, plan = read_planned(generated)
    generator = read_generator(generated)
    assert generator is not None
    assert generator.truth is not None
    (generated / "truth.parquet").unlink()
    few = truth_tables(run.config, plan.slice(1))
    assert few is not None
    with (
        staged_truth(generated, few, plan.num_rows - 1) as staged,
        pytest.raises(ValueError, match=r"truth\.parquet: is lost, and what would be drawn now"),
    ):
        publish_truth(generated, generator.truth, staged)
    assert what_is_wrong_with_truth(generated, generator.truth) == "is missing"
    whole = truth_tables(run.config, plan)
    assert whole is not None
    with staged_truth(generated, whole, plan.num_rows) as staged:
        publish_truth(generated, generator.truth, staged)
    assert what_is_wrong_with_truth(generated, generator.truth) is None
