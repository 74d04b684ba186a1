"""Whatever is done to a dataset, verify names it."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.check_shard import GENERATE, MEND, Problem
from shards.filesystem import file_facts
from shards.manifest import rebuild
from shards.plan import shard_names
from shards.publish import broken, set_aside
from shards.run import read_planned
from shards.verify import verify
from workflows import generate

SHARD = "train/shard-000001"


def told(dataset: Path) -> set[tuple[str, str]]:
    return {(problem.kind, problem.where) for problem in verify(dataset)}


def test_a_sound_dataset_has_no_problems(generated: Path) -> None:
    progress = []
    assert list(verify(generated, progress.append)) == []
    assert progress[-1].shards == progress[-1].of == len(list(generated.glob("*/*.tar")))


def _rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change a parquet file, and its done.json with it, as a clever forger would."""
    pq.write_table(change(pq.read_table(path, partitioning=None)), path)
    _refresh_done(path.with_suffix(""))


def _refresh_done(stem: Path) -> None:
    done = stem.with_suffix(".done.json")
    facts = json.loads(done.read_bytes())
    for key in ("tar", "parquet"):
        file = file_facts(stem.with_suffix(f".{key}"))
        facts[key] = {"bytes": file.bytes, "sha256": file.sha256}
    done.write_text(json.dumps(facts, indent=2) + "\n")


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_flipped_byte_in_a_picture(generated: Path) -> None:
    row = pq.read_table(generated / f"{SHARD}.parquet", partitioning=None).to_pylist()[2]
    _flip(generated / f"{SHARD}.tar", row["target_offset"] + 99)
    found = list(verify(generated))
    assert [(problem.where, problem.what) for problem in found] == [
        (SHARD, "shard-000001.tar is not the file of its done.json"),
        (SHARD, f"{row['id']}.target.png in shard-000001.tar"),
    ]


@pytest.mark.parametrize("at", [0, 120, -1])
def test_a_flipped_byte_anywhere_in_a_tar(generated: Path, at: int) -> None:
    _flip(generated / f"{SHARD}.tar", at)
    assert ("damaged", SHARD) in told(generated)


def test_damaged_rows_and_done_files(generated: Path) -> None:
    _flip(generated / f"{SHARD}.parquet", 50)
    (generated / "train/shard-000000.done.json").write_text('{"shard": "train/shard-0000')
    assert {("damaged", SHARD), ("damaged", "train/shard-000000")} <= told(generated)


def test_an_empty_tar(generated: Path) -> None:
    (generated / f"{SHARD}.tar").write_bytes(b"")
    assert ("damaged", SHARD) in told(generated)


@pytest.mark.parametrize("lost", ["tar", "parquet", "done.json"])
def test_a_lost_file(generated: Path, lost: str) -> None:
    (generated / f"{SHARD}.{lost}").unlink()
    found = [problem for problem in verify(generated) if problem.where == SHARD]
    assert found == [Problem("incomplete", SHARD, f"lacks shard-000001.{lost}", GENERATE)]


def test_a_shard_that_was_never_made(generated: Path) -> None:
    for path in generated.glob(f"{SHARD}.*"):
        path.unlink()
    assert ("not made yet", SHARD) in told(generated)


def test_files_that_nobody_planned(generated: Path) -> None:
    shutil.copy(generated / f"{SHARD}.tar", generated / "train/shard-000099.tar")
    (generated / "train/notes.txt").write_text("mine")
    assert {("orphan", "train/shard-000099.tar"), ("orphan", "train/notes.txt")} <= told(generated)


def test_rows_that_disagree_with_the_plan(generated: Path) -> None:
    def other_prompt(table: pa.Table) -> pa.Table:
        prompts = pa.array(["Something else"] * table.num_rows)
        at = table.column_names.index("prompt")
        return table.set_column(at, table.schema.field("prompt"), prompts)

    _rewrite(generated / f"{SHARD}.parquet", other_prompt)
    found = list(verify(generated))
    what = "column prompt of shard-000001.parquet"
    wanted = Problem("disagrees with the plan", SHARD, what, MEND)
    assert wanted in found


def test_a_row_too_few(generated: Path) -> None:
    _rewrite(generated / f"{SHARD}.parquet", lambda table: table.slice(1))
    kinds = {problem.kind for problem in verify(generated) if problem.where == SHARD}
    assert {"disagrees with the plan", "disagrees with its rows", "orphan member"} <= kinds


def test_rows_of_another_kind(generated: Path) -> None:
    _rewrite(generated / f"{SHARD}.parquet", lambda table: table.drop_columns(["size_px"]))
    found = [problem.what for problem in verify(generated) if problem.where == SHARD]
    assert any("column 'size_px' is missing" in what for what in found)


def test_members_that_no_row_tells_of(generated: Path) -> None:
    path = generated / f"{SHARD}.tar"
    with tarfile.open(path, "a") as tar:
        info = tarfile.TarInfo("extra.png")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    _refresh_done(path.with_suffix(""))
    wanted = Problem("orphan member", SHARD, "extra.png in shard-000001.tar", MEND)
    assert wanted in list(verify(generated))


def test_members_that_are_not_there(generated: Path) -> None:
    path = generated / f"{SHARD}.tar"
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
    path.write_bytes(path.read_bytes()[: last.offset] + bytes(1024))
    _refresh_done(path.with_suffix(""))
    wanted = Problem("missing member", SHARD, f"{last.name} in shard-000001.tar", MEND)
    assert wanted in list(verify(generated))


def test_the_same_shard_twice(generated: Path) -> None:
    """A shard published under another's name is told by its plan and by its pictures."""
    for suffix in ("tar", "parquet", "done.json"):
        shutil.copy(generated / f"{SHARD}.{suffix}", generated / f"train/shard-000000.{suffix}")
    found = told(generated)
    assert ("disagrees with the plan", "train/shard-000000") in found
    assert ("duplicate", "source picture") in found


@pytest.mark.parametrize(
    "name", ["manifest.parquet", "index.json", "README.md", "train/index.json"]
)
def test_stale_derived_files(generated: Path, name: str) -> None:
    path = generated / name
    data = path.read_bytes()
    path.write_bytes(data.replace(b"shard", b"sherd"))
    assert told(generated) == {("stale", name)}
    path.unlink()
    assert told(generated) == {("stale", name)}
    assert generate.main(["--here", str(generated)]) == 0
    assert path.read_bytes() == data


def test_another_plan_is_refused(generated: Path) -> None:
    path = generated / "plan.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(ValueError, match=r"is not the plan of run\.json"):
        list(verify(generated))


def test_a_doubled_id_in_the_plan(generated: Path) -> None:
    """Cannot be planned by us; a forged plan with a forged run.json is told all the same."""
    path = generated / "plan.parquet"
    table = pq.read_table(path)
    ids = table.column("id").to_pylist()
    ids[1] = ids[0]
    table = table.set_column(0, table.schema.field("id"), pa.array(ids))
    pq.write_table(table, path)
    run = json.loads((generated / "run.json").read_bytes())
    run["plan"]["sha256"] = file_facts(path).sha256
    (generated / "run.json").write_text(json.dumps(run))
    assert ("duplicate", "plan.parquet") in told(generated)


def test_what_is_set_aside_makes_it_sound_again(generated: Path) -> None:
    (generated / f"{SHARD}.tar").unlink()
    run, plan = read_planned(generated)
    shards = shard_names(plan)
    ((shard, reason),) = broken(generated, shards)
    assert shard == SHARD
    set_aside(generated, shard, reason)
    rebuild(generated, run, shards)
    assert told(generated) == {("not made yet", SHARD)}


@pytest.mark.parametrize("name", ["truth.parquet", "generator.json"])
def test_what_stands_beside_the_shards(generated: Path, name: str) -> None:
    path = generated / name
    data = path.read_bytes()
    path.write_bytes(b"junk")
    assert ("damaged", name) in told(generated)
    path.unlink()
    assert told(generated) == {("incomplete", name)}
    assert generate.main(["--here", str(generated)]) == 0
    assert path.read_bytes() == data
    assert told(generated) == set()


def test_an_edited_generator_is_not_believed(generated: Path) -> None:
    path = generated / "generator.json"
    path.write_text(path.read_text().replace('"dtype": "float32"', '"dtype": "float64"'))
    assert told(generated) == {("damaged", "generator.json")}


def test_edited_settings(generated: Path) -> None:
    path = generated / "run.json"
    path.write_text(path.read_text().replace('"gap": 1.0', '"gap": 2.0'))
    with pytest.raises(ValueError, match=r"run\.json: its settings are not those that plan"):
        told(generated)


def test_a_shard_of_another_making(generated: Path, planned: Callable[..., Path]) -> None:
    """Same plan, same names of files; only the gap of the painter was another."""
    other = planned("medium", "--generator.gap", "0.5", folder="other")
    assert generate.main(["--here", str(other)]) == 0
    for suffix in ("tar", "parquet", "done.json"):
        shutil.copy(other / f"{SHARD}.{suffix}", generated / f"{SHARD}.{suffix}")
    assert ("of another making", SHARD) in told(generated)


def test_many_problems_of_one_kind_are_one(generated: Path, planned: Callable[..., Path]) -> None:
    dataset = planned("medium", folder="unmade")
    (problem,) = verify(dataset)
    assert (problem.kind, problem.what) == ("not made yet", "is planned, and 9 more")
    tar = generated / f"{SHARD}.tar"
    length = tar.stat().st_size
    tar.write_bytes(tar.read_bytes()[:-512])
    found = [problem for problem in verify(generated) if problem.where == SHARD]
    what = f"shard-000001.tar has {length - 512:,} bytes, published were {length:,}"
    assert found == [Problem("damaged", SHARD, what, MEND)]
