"""What a dataset was planned and made with is fixed; what differs is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.run import GeneratorRecord, ModelIdentity
from shards.encoding import parquet_bytes
from shards.plan import make_plan
from shards.publish import quarantined
from shards.run import (
    agree_on_generator,
    differences,
    publish_run,
    read_generator,
    read_planned,
    read_run,
)

RECORD = GeneratorRecord(
    plan_sha256="ab",
    truth=None,
    models={"source": ModelIdentity(model="m", revision="1", weights={"unet": "cd"})},
    numerics={"dtype": "bfloat16", "batch_size": 8},
    code="c0de",
    libraries={"torch": "2.13.0"},
    processor="H100",
)


def test_differences_name_every_leaf() -> None:
    before = {"a": 1, "b": {"c": 2, "d": [3]}, "gone": 0}
    now = {"a": 1, "b": {"c": 5, "d": [3]}, "new": None}
    assert differences(before, now) == ["b.c: 2, now 5", "gone: 0, now None"]


def test_the_same_plan_again_is_no_error(planned: Callable[..., Path]) -> None:
    dataset = planned()
    run, plan = read_planned(dataset)
    assert publish_run(dataset, replace(run, code="other"), parquet_bytes(plan)) is False
    assert read_run(dataset) == run


def test_another_plan_is_refused_and_the_difference_named(planned: Callable[..., Path]) -> None:
    dataset = planned()
    run, _ = read_planned(dataset)
    other = replace(run, config=replace(run.config, seed=8))
    data = parquet_bytes(make_plan(other.config, None))
    with pytest.raises(ValueError, match=r"choose a new folder.*differs in config\.seed: 7, now 8"):
        publish_run(dataset, other, data)


def test_a_plan_that_was_killed_before_its_run_json(planned: Callable[..., Path]) -> None:
    dataset = planned()
    run, plan = read_planned(dataset)
    (dataset / "run.json").unlink()
    (dataset / "plan.parquet").write_bytes(b"of another plan")
    assert publish_run(dataset, run, parquet_bytes(plan)) is True
    assert read_planned(dataset)[1].equals(plan)
    assert quarantined(dataset)[0]["reason"] == "is not the plan of run.json"


def test_the_first_generator_is_fixed(tmp_path: Path) -> None:
    assert read_generator(tmp_path) is None
    assert agree_on_generator(tmp_path, RECORD) == []
    assert agree_on_generator(tmp_path, RECORD) == []
    assert read_generator(tmp_path) == RECORD
    elsewhere = replace(RECORD, processor="A100", libraries={"torch": "2.14.0"})
    assert agree_on_generator(tmp_path, elsewhere) == [
        "processor: 'H100', now 'A100'",
        "torch: '2.13.0', now '2.14.0'",
    ]
    assert read_generator(tmp_path) == RECORD


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"plan_sha256": "xx"}, r"plan_sha256: 'ab', now 'xx'"),
        (
            {"numerics": {"dtype": "float32", "batch_size": 8}},
            r"numerics\.dtype: 'bfloat16', now 'float32'",
        ),
        (
            {"models": {"source": ModelIdentity(model="m", revision="2", weights={"unet": "ef"})}},
            r"models\.source\.revision: '1', now '2'\n  models\.source\.weights\.unet: 'cd'",
        ),
    ],
)
def test_another_generator_is_refused(tmp_path: Path, change: dict, told: str) -> None:
    agree_on_generator(tmp_path, RECORD)
    with pytest.raises(ValueError, match=told):
        agree_on_generator(tmp_path, replace(RECORD, **change))


def test_a_newer_run_json_is_refused_by_field(planned: Callable[..., Path]) -> None:
    path = planned() / "run.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"cofnig": {}}))
    with pytest.raises(
        ValueError, match=r"run\.json: 1 mistake\n  cofnig .* did you mean 'config'"
    ):
        read_run(path.parent)


def test_a_plan_that_was_killed_before_its_run_json_and_is_the_same(
    planned: Callable[..., Path],
) -> None:
    dataset = planned()
    run, plan = read_planned(dataset)
    (dataset / "run.json").unlink()
    assert publish_run(dataset, run, parquet_bytes(plan)) is True
    assert read_planned(dataset)[0] == run
    assert quarantined(dataset) == []


def everything(dataset: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}


def test_a_refused_plan_leaves_the_dataset_as_it_was(planned: Callable[..., Path]) -> None:
    dataset = planned()
    before = everything(dataset)
    run, _ = read_planned(dataset)
    with pytest.raises(ValueError, match="belongs to another plan"):
        publish_run(dataset, replace(run, config=replace(run.config, seed=8)), b"another")
    assert everything(dataset) == before


def test_a_plan_that_is_not_its_run_jsons(planned: Callable[..., Path]) -> None:
    dataset = planned()
    _, plan = read_planned(dataset)
    (dataset / "plan.parquet").write_bytes(parquet_bytes(plan.slice(0, 3)))
    with pytest.raises(ValueError, match=r"plan\.parquet: is not the plan of run\.json"):
        read_planned(dataset)


def test_damaged_and_foreign_json(planned: Callable[..., Path]) -> None:
    path = planned() / "run.json"
    whole = json.loads(path.read_bytes())
    path.write_text(json.dumps(whole)[:-9])
    with pytest.raises(ValueError, match=r"run\.json: is damaged"):
        read_run(path.parent)
    path.write_text(json.dumps(whole | {"version": 2}))
    with pytest.raises(ValueError, match=r"run\.json: 1 mistake\n  version = 2: known here: 1"):
        read_run(path.parent)
    path.unlink()
    with pytest.raises(ValueError, match=r"has no run\.json; make one with relume plan"):
        read_run(path.parent)


LEAVES = st.none() | st.integers() | st.text(max_size=3)
TREES = st.dictionaries(
    st.text("ab", min_size=1, max_size=2),
    LEAVES | st.dictionaries(st.text("ab", min_size=1, max_size=2), LEAVES, max_size=3),
    max_size=3,
)


@given(TREES, TREES)
def test_only_what_differs_is_named(before: dict, now: dict) -> None:
    assert differences(before, before) == []
    swapped = differences(now, before)
    found = differences(before, now)
    assert [line.partition(":")[0] for line in found] == [
        line.partition(":")[0] for line in swapped
    ]
    for line in found:
        key = line.partition(":")[0].partition(".")[0]
        assert before.get(key) != now.get(key)


@pytest.mark.parametrize("left", [b"damaged", None])
def test_the_same_plan_again_writes_a_lost_plan(
    planned: Callable[..., Path], left: bytes | None
) -> None:
    dataset = planned()
    run, plan = read_planned(dataset)
    path = dataset / "plan.parquet"
    path.unlink() if left is None else path.write_bytes(left)
    assert publish_run(dataset, run, parquet_bytes(plan)) is True
    assert read_planned(dataset) == (run, plan)
    assert len(quarantined(dataset)) == (left is not None)


def test_a_folder_of_something_else_is_left_alone(planned: Callable[..., Path]) -> None:
    run, plan = read_planned(planned())
    folder = planned(folder="thesis")
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"is no dataset and not empty, it holds thesis\.tex"):
        publish_run(folder, run, parquet_bytes(plan))
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]
