"""The plan: fixed by names and settings alone, nested where it says so."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from schemas.config import DatasetConfig, SplitSettings, dataset_config, read_preset
from schemas.name import NAME_SCHEMA, Name
from schemas.records import to_table
from schemas.settings import as_plain, resolve
from shards.encoding import parquet_bytes
from shards.layout import picture_member
from shards.plan import (
    fraction_sizes,
    make_plan,
    planned_samples,
    read_plan,
    shard_names,
    split_of,
)

PAPER = read_preset(Path("configs/paper.toml"))
WEIGHTS = SplitSettings()


def names_table(names: list[str]) -> pa.Table:
    return to_table(
        [
            Name(nconst=f"nm{n:07d}", name=name, birth_year=None, professions=["actor"])
            for n, name in enumerate(names)
        ],
        NAME_SCHEMA,
    )


def people(count: int) -> pa.Table:
    return names_table([f"First{n} Last{n}" for n in range(count)])


def config(name: str = "enhanced", seed: int = 0, **dataset: object) -> DatasetConfig:
    tables = as_plain(dataset_config(PAPER, name, "paper"))
    tables["dataset"] |= dataset
    return resolve(DatasetConfig, tables | {"seed": seed}, "test")


def by_name(plan: pa.Table, column: str) -> dict[str, object]:
    return dict(zip(plan["name"].to_pylist(), plan[column].to_pylist(), strict=True))


def test_splits_have_the_papers_proportions() -> None:
    plan = make_plan(config(count=20_000), people(20_000))
    counts = Counter(plan["split"].to_pylist())
    for split, weight in (("train", 116), ("validation", 4), ("test", 20)):
        assert abs(counts[split] / 20_000 - weight / 140) < 0.01
    halves = Counter(
        (row["split"], row["half"]) for row in plan.select(["split", "half"]).to_pylist()
    )
    assert set(halves) == {("train", None)} | {
        (split, half) for split in ("validation", "test") for half in "AB"
    }
    assert abs(halves["test", "A"] / counts["test"] - 0.5) < 0.05


def test_a_split_depends_on_the_name_alone() -> None:
    large = make_plan(config(count=3000), people(3000))
    for other in (
        make_plan(config(count=300), people(3000)),
        make_plan(config(count=3000, seed=5), people(3000)),
        make_plan(config("teacher", count=3000, splits=["train", "test"]), people(3000)),
    ):
        whole = by_name(large, "split")
        assert all(whole[name] == split for name, split in by_name(other, "split").items())


def test_fractions_are_nested_and_of_the_whole_plan() -> None:
    plan = make_plan(config(count=5000), people(5000))
    sizes = fraction_sizes(plan, PAPER.fractions)
    assert sizes == {0.005: 25, 0.01: 50, 0.02: 100, 0.2: 1000}
    ranks = [rank for rank in plan["train_rank"].to_pylist() if rank is not None]
    assert sorted(ranks) == list(range(Counter(plan["split"].to_pylist())["train"]))
    # Another seed draws others; the same seed the same, in whatever order the names come.
    again = make_plan(config(count=5000), people(5000).take(list(reversed(range(5000)))))
    assert by_name(again, "train_rank") == by_name(plan, "train_rank")
    other = make_plan(config(count=5000, seed=1), people(5000))
    assert by_name(other, "train_rank") != by_name(plan, "train_rank")


def test_a_shard_holds_one_split_and_a_fair_sample_of_it() -> None:
    plan = make_plan(config(count=2000), people(2000))
    names = shard_names(plan)
    splits = [name.partition("/")[0] for name in names]
    assert list(dict.fromkeys(splits)) == ["train", "validation", "test"]
    assert all(names[n] < names[n + 1] for n in range(len(names) - 1) if splits[n] == splits[n + 1])
    last = dict(zip(splits, names, strict=True))
    total = 0
    for shard, samples in planned_samples(plan):
        assert {sample.split for sample in samples} == {shard.partition("/")[0]}
        assert [sample.index for sample in samples] == list(range(len(samples)))
        assert len(samples) == 64 or shard in last.values()
        total += len(samples)
    assert total == 2000
    first = [int(sample.nconst[2:]) for sample in next(planned_samples(plan))[1]]
    assert first != sorted(first)
    assert max(first) - min(first) > 1000


def test_seeds_differ_between_samples_stages_and_runs() -> None:
    plan = make_plan(config(count=1000), people(1000))
    seeds = plan["source_seed"].to_pylist() + plan["target_seed"].to_pylist()
    assert len(set(seeds)) == 2000
    other = make_plan(config(count=1000, seed=1), people(1000))
    assert not set(seeds) & set(other["source_seed"].to_pylist())
    assert by_name(other, "id") == by_name(plan, "id")


def test_several_images_of_a_name_stay_together() -> None:
    plan = make_plan(config(count=900, images_per_name=3), people(300))
    assert plan.num_rows == 900
    splits: dict[str, set[str]] = {}
    for row in plan.select(["name", "split", "half"]).to_pylist():
        splits.setdefault(row["name"], set()).add(f"{row['split']} {row['half']}")
    assert {len(found) for found in splits.values()} == {1}
    assert len(set(plan["id"].to_pylist())) == 900


def test_a_baseline_has_ids_and_splits_without_names() -> None:
    plan = make_plan(config("baseline", count=500), None)
    assert plan["name"].null_count == plan["nconst"].null_count == 500
    assert sorted(plan["id"].to_pylist())[0] == "baseline-000000"
    assert len(set(plan["split"].to_pylist())) == 3
    assert set(plan["prompt"].to_pylist()) == {"A professional business portrait"}


HOSTILE = [
    "../../etc/passwd x",
    "A. B. Smith",
    "<script>alert(1)</script> X",
    "שלום עולם",
    "Zoë́ O'Neil",
    'Quote "Q" Quote',
    "{name} {0}",
    "right\u202eto left",
    "e\u0301\u0327 combining",
    "line\nbreak",
    "Ünïcödé Ñame",
    "100% %s %d",
]


def test_strange_names_enter_prompts_and_nothing_else() -> None:
    plan = make_plan(config(count=len(HOSTILE)), names_table(HOSTILE))
    assert sorted(plan["name"].to_pylist()) == sorted(HOSTILE)
    for row in plan.to_pylist():
        assert row["prompt"] == f"A professional portrait of {row['name']}"
        assert row["id"].replace("-", "").isalnum()
        assert "." not in row["id"]
        assert picture_member(row["id"], "source").split(".", 1)[1] == "source.png"


@given(st.text(min_size=1))
@given_settings(max_examples=200)
def test_any_name_has_a_split(name: str) -> None:
    assert split_of(name, WEIGHTS) == split_of(name, WEIGHTS)
    assert split_of(name, SplitSettings(train=0, validation=1, test=0)) == "validation"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (people(7), "names: has 7 names, dataset.enhanced asks for 8"),
        (None, "prompt asks for names; give them with --names"),
        (names_table(["A B"] * 8), "names: column name repeats a value"),
        (
            pa.concat_tables([people(7), names_table(["X Y"])]),
            "names: column nconst repeats a value",
        ),
        (pa.table({"name": ["A B"] * 8}), "names: record is 'none'"),
    ],
)
def test_names_that_will_not_do(table: pa.Table | None, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make_plan(config(count=8), table)


def test_ids_are_made_of_harmless_letters() -> None:
    table = people(8).set_column(
        0, NAME_SCHEMA.field("nconst"), pa.array([f"nm/{n}" for n in range(8)])
    )
    with pytest.raises(ValueError, match=r"nconst 'nm/0': may only have letters"):
        make_plan(config(count=8), table)
    too_long = people(8).set_column(
        0, NAME_SCHEMA.field("nconst"), pa.array([f"nm{n:063d}" for n in range(8)])
    )
    with pytest.raises(ValueError, match="digits, - and _, at most 64"):
        make_plan(config(count=8), too_long)


def test_the_same_bytes_in_another_process() -> None:
    program = (
        "from pathlib import Path; import hashlib\n"
        "from schemas.config import dataset_config, read_preset\n"
        "from shards.plan import make_plan; from shards.encoding import parquet_bytes\n"
        "config = dataset_config(read_preset(Path('configs/paper.toml')), 'baseline', 'x')\n"
        "print(hashlib.sha256(parquet_bytes(make_plan(config, None))).hexdigest())\n"
    )
    here = hashlib.sha256(parquet_bytes(make_plan(config("baseline"), None))).hexdigest()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == here


def test_a_folder_without_a_plan(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"has no plan\.parquet; the same relume plan as before writes it again"
    ):
        read_plan(tmp_path)


@pytest.mark.parametrize(
    ("column", "value"),
    [("shard", "../../etc/shard-000000"), ("shard", "train/../x"), ("id", "../x"), ("id", "a.b")],
)
def test_a_foreign_plan_does_not_lead_out_of_its_folder(
    tmp_path: Path, column: str, value: str
) -> None:
    plan = make_plan(config("baseline", count=4), None)
    at = plan.column_names.index(column)
    forged = plan.set_column(at, plan.schema.field(column), pa.array([value] * 4))
    (tmp_path / "plan.parquet").write_bytes(parquet_bytes(forged))
    with pytest.raises(ValueError, match=f"{column} '.*': is no name of Relume's"):
        read_plan(tmp_path)


def test_a_larger_count_keeps_what_a_name_was_given() -> None:
    small, large = (make_plan(config(count=n), people(2000)) for n in (500, 2000))
    for column in ("split", "half", "id", "source_seed", "target_seed", "prompt"):
        whole = by_name(large, column)
        assert all(whole[name] == value for name, value in by_name(small, column).items()), column
    # Whoever was drawn earlier is still drawn earlier.
    before, after = by_name(small, "train_rank"), by_name(large, "train_rank")
    drawn = sorted((name for name in before if before[name] is not None), key=before.__getitem__)
    assert drawn == sorted(drawn, key=after.__getitem__)


@given(st.integers(1, 400), st.lists(st.floats(0, 1, exclude_min=True), max_size=4))
@given_settings(max_examples=30)
def test_a_fraction_is_what_the_ranks_below_it_are(count: int, fractions: list[float]) -> None:
    """The plan's own description of train_rank, counted one by one."""
    plan = make_plan(config("baseline", count=count, splits=["train", "test"]), None)
    ranks = [rank for rank in plan["train_rank"].to_pylist() if rank is not None]
    for fraction, told in fraction_sizes(plan, tuple(fractions)).items():
        assert told == sum(rank < fraction * plan.num_rows for rank in ranks)


def test_a_plan_without_samples_is_refused() -> None:
    wanted = config("baseline", count=1, splits=["validation"])
    with pytest.raises(
        ValueError,
        match=r"dataset\.baseline: none of its 1 samples falls in validation; raise dataset\.count",
    ):
        make_plan(wanted, None)


def test_names_that_may_be_null_are_refused() -> None:
    """A null would otherwise become a portrait of None."""
    columns = [
        field.with_nullable(True) if field.name == "name" else field for field in NAME_SCHEMA
    ]
    rows = [*people(7).to_pylist(), people(8).to_pylist()[7] | {"name": None}]
    table = pa.Table.from_pylist(rows, pa.schema(columns, metadata=NAME_SCHEMA.metadata))
    with pytest.raises(ValueError, match="names: column 'name' may be null"):
        make_plan(config(count=8), table)


@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=20, unique=True),
    st.integers(1, 3),
    st.integers(1, 7),
)
@given_settings(max_examples=50)
def test_any_names_make_a_plan_that_comes_back(names: list[str], each: int, shard: int) -> None:
    wanted = config(count=len(names) * each, images_per_name=each, shard_size=shard)
    plan = make_plan(wanted, names_table(names))
    samples = [sample for _, found in planned_samples(plan) for sample in found]
    assert sorted(sample.name or "" for sample in samples) == sorted(names * each)
    assert len({sample.id for sample in samples}) == len(samples)
    assert len({(sample.shard, sample.index) for sample in samples}) == len(samples)
    assert max(sample.index for sample in samples) < shard
    assert {sample.split for sample in samples} == {split_of(name, WEIGHTS) for name in names}
