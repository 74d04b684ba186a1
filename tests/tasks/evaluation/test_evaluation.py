"""The parts of an evaluation by themselves: rows, checks, speeds, prompts, tables, figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from metrics.gap import GapRow, GapTable
from metrics.same_prompts import SamePromptRow
from metrics.subsampling import Estimate, estimate
from models.heads.folder import WEIGHTS, read_config
from models.published_files import MEASURES
from schemas.config import DatasetConfig, SplitSettings, read_preset
from schemas.evaluate import DatasetRow, EvaluateSettings, read_evaluate
from schemas.event import Event
from schemas.generator import DiffusersSettings
from schemas.head import PictureMaker
from schemas.measure import FeatureNumerics, PairsSettings, SeenBy
from schemas.part import WHOLE
from schemas.run import ModelIdentity
from shards.events import append
from shards.plan import read_plan
from shards.run import read_run
from tasks.evaluation.dataset import check_halves, check_same_prompts, read_dataset
from tasks.evaluation.evaluation import Evaluation, plain
from tasks.evaluation.figures import draw
from tasks.evaluation.heads import maker_flags
from tasks.evaluation.measures import (
    Evidence,
    Looks,
    Nearness,
    cautions_of,
    check_triangles,
    fastest_eigenvalues,
    gaps,
    nearness,
)
from tasks.evaluation.openings import note_opening, openings
from tasks.evaluation.prompt_sets import plan_prompts, read_prompts
from tasks.evaluation.report import latex, markdown
from tasks.evaluation.speeds import Speed, of_change, of_dataset, together
from tasks.evaluation.tables import tables_of
from tasks.evaluation.words import within
from tests.heads import small_head
from workflows import generate
from workflows.evaluate import Arguments
from workflows.evaluate_prompts import check_prompts

PROMPTS = sorted(Path("configs/prompts").glob("*.txt"))


def distance(name: str, value: float) -> GapRow:
    closure = estimate(1 - value, 0.05)
    return GapRow(
        name=name,
        distance=estimate(value, 0.02),
        infinity=estimate(value, 0.02),
        closure=closure,
        floor_corrected=closure,
        by_direction=(0.4, 0.6),
    )


def gap_of(*rows: GapRow, floor: float = 0.0) -> GapTable:
    return GapTable(
        num_a=50,
        num_b=50,
        width=4,
        places=1,
        draws=8,
        seed=0,
        rows=rows,
        floor=distance("reference", floor),
        cautions=(),
    )


def made(**changes: Any) -> Evaluation:
    """An evaluation by hand: sources and a teacher at several steps, a LoRA, a head."""
    table = gap_of(
        distance("source", 1.0),
        distance("source, 1 step", 1.2),
        distance("teacher", 0.1),
        distance("teacher, 8 steps", 0.3),
        distance("LoRA | 50 %", 0.9),
        distance("head", 0.4),
    )
    kinds = {
        "source": ("source", "source"),
        "target": ("target", "target"),
        "source, 1 step": ("dataset", "source"),
        "teacher": ("teacher", "teacher"),
        "teacher, 8 steps": ("dataset", "teacher"),
        "LoRA | 50 %": ("dataset", "source"),
        "head": ("head", "source"),
    }
    rows = {
        name: {
            "kind": kind,
            "stage": stage,
            "flags": ["other source"] if name == "head" else [],
            "change": {"kind": "none"},
            "looks": {"inception-tf1": "abc"},
            "lora": "a.safetensors" if "LoRA" in name else None,
        }
        for name, (kind, stage) in kinds.items()
    }
    settings = {"kind": "inception", "policy": "tf1", "taps": [64]}
    speeds = {
        name: Speed(seconds=seconds, told_by="hand")
        for name, seconds in zip(rows, (1.0, 9.0, 0.3, 12.0, 2.0, 1.0, 1.1), strict=True)
        if name != "target"
    }
    near = Nearness(
        kid=estimate(0.001, 0.0002),
        precision=estimate(0.5, 0.01),
        recall=estimate(0.4, float("nan")),
        cmmd=estimate(0.3, 0.1),
    )
    told = Evaluation(
        split="test",
        dataset="enhanced",
        procedural=False,
        num=100,
        num_planned=101,
        left_out={"a": "head: black"},
        headline="inception-tf1/64",
        networks={
            "inception-tf1": {
                "network": settings,
                "weights": {"file": MEASURES["inception"][0].sha256},
            },
            "pairs": SeenBy(network=PairsSettings(), weights={}).what_it_is(),
        },
        rows=rows,
        gaps={"target": {"inception-tf1/64": table}},
        same_prompts={"inception-tf1/64": same(0.4, 0.2)},
        nearness={"target": {"head": near}},
        looks={name: Looks(means={}, identity=None) for name in rows},
        drift={},
        speeds=speeds,
        consistency=None,
        explained={},
        cautions=["against the target: take care"],
        settings=EvaluateSettings(data="enhanced"),
    )
    return replace(told, **changes)


def same(to_source: float, to_target: float) -> tuple[SamePromptRow, ...]:
    one = estimate(1.0, 0.1)
    return (
        SamePromptRow(name="source", to_source=None, to_target=one, difference=None),
        SamePromptRow(name="target", to_source=one, to_target=None, difference=None),
        SamePromptRow(
            name="head",
            to_source=estimate(to_source, 0.1),
            to_target=estimate(to_target, 0.1),
            difference=estimate(to_source - to_target, 0.1),
        ),
    )


def test_tables_say_what_a_reader_has_to_know() -> None:
    tables = {table.title: table for table in tables_of(made())}
    assert all(len(row) == len(one.head) for one in tables.values() for row in one.rows)
    gap = tables["Gap to the target"]
    wanted = ["head \u2020", "0.4000", "0.4000 (0.3608 to 0.4392)", "0.60 (0.50 to 0.70)"]
    assert list(gap.rows[-2][:4]) == wanted
    assert "FID (tap 64, tf1)" in gap.note
    assert "Against the target: take care." in gap.note
    assert "\u2020 a head that was trained for another source" in gap.note
    assert "procedural" not in gap.note.lower()
    assert tables["Other distances to the target"].rows == (
        (
            "head \u2020",
            "1.000 (0.608 to 1.392)",
            "0.500 (0.480 to 0.520)",
            "0.400",  # of too few prompts for an interval
            "0.300 (0.104 to 0.496)",
        ),
    )
    assert (
        "100 of 101 prompts of test of enhanced; 1 are left out"
        in tables["What the numbers are of"].note
    )
    assert tables["Same prompts, as in the paper"].rows[2][4].startswith("0.2000")
    of = {row[0]: row[1] for row in tables["What the numbers are of"].rows}
    assert of["pairs"] == "-"
    assert of["inception-tf1"] == "policy tf1, taps 64"
    assert within(None) == "no gap"
    tiny = {"inception-tf1": {"network": {"kind": "inception", "policy": "tf1"}, "weights": {}}}
    tiny["inception-tf1"]["weights"] = {"file": "0" * 64}
    (gap, *_) = tables_of(made(networks=tiny))
    assert "FID (tap 64, tf1, other weights)" in gap.note
    assert "so this is no FID that anybody else tells" in gap.note


def test_markdown_and_latex_survive_any_name() -> None:
    tables = tables_of(made())
    page = markdown("A title", tables, [], procedural=False)
    assert "| LoRA \\| 50 % |" in page
    text = latex(tables)
    assert r"LoRA | 50 \% &" in text
    assert r"head $^\dagger$ &" in text
    assert text.count(r"\begin{table}") == len(tables)


def test_prompts_that_are_long_or_missing_are_told_below_their_columns() -> None:
    def seen(score: float, prompted: float, cut: float) -> Looks:
        names = {"hps": score, "hps_prompted": prompted, "hps_cut": cut}
        means = {name: estimate(value, 0.01) for name, value in names.items()}
        return Looks(means=means, identity=None)

    looks = {name: seen(27.5, 1.0, 0.0) for name in made().rows}
    tables = {table.title: table for table in tables_of(made(looks=looks))}
    assert tables["Pictures"].head[1] == "HPS v2.1"
    assert tables["Pictures"].rows[0][1] == "27.50"
    assert "HPS" not in tables["Pictures"].note
    # One row has pictures without prompts, another prompts of which none is known to be cut.
    looks |= {"head": seen(26.0, 0.75, 0.125), "source": seen(float("nan"), 0.0, float("nan"))}
    tables = {table.title: table for table in tables_of(made(looks=looks))}
    assert tables["Pictures"].rows[0][1] == "-"
    note = tables["Pictures"].note
    assert "HPS v2.1 read the first 77 tokens of 12.5 % of the prompts. " in note
    assert "HPS v2.1 is of the 0.0 % of pictures with a prompt. " in note


def test_figures_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    found = draw(made(), tmp_path)
    assert [one["file"] for one in found] == ["figures/closures.svg", "figures/pareto.svg"]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("closures.png", "closures.svg", "pareto.png", "pareto.svg")
    }
    again = tmp_path / "again"
    draw(made(), again)
    for path in again.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()
    assert [one["file"] for one in draw(made(speeds={}), tmp_path / "b")] == [
        "figures/closures.svg"
    ]
    no_gap = [replace(distance("source", 1.0), closure=None, by_direction=None)]
    nothing = made(gaps={"target": {"inception-tf1/64": gap_of(*no_gap)}})
    assert draw(nothing, tmp_path / "c") == []


def test_an_evaluation_is_json_without_what_is_no_number() -> None:
    nothing = Estimate(value=float("nan"), error=float("inf"), low=0.0, high=1.0)
    looks = {"source": Looks(means={"clip_iqa": nothing}, identity=None)}
    told = plain(made(looks=looks))
    text = json.dumps(told, allow_nan=False)
    assert json.loads(text)["looks"]["source"]["means"]["clip_iqa"]["value"] is None


def test_roads_that_disagree_and_floors_that_hold_no_zero_are_told() -> None:
    row = replace(distance("head", 0.4), floor_corrected=estimate(0.1, 0.01))
    told = cautions_of(gap_of(distance("source", 1.0), row, floor=0.5), "target")
    assert len(told) == 2
    assert told[0].startswith("the floor's FD-infinity is 0.5")
    assert "neither is a headline" in told[1]
    assert cautions_of(gap_of(distance("source", 1.0), distance("head", 0.4)), "target") == []


def test_distances_that_no_pictures_have_are_refused() -> None:
    check_triangles(same(0.4, 0.2), "a tap")
    with pytest.raises(ValueError, match=r"row 'head', a tap: distances 0.01, 0.02, 1 cannot be"):
        check_triangles(same(0.01, 0.02), "a tap")


def test_what_was_computed_is_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    read: list[str] = []

    def features(row: str, label: str, tap: int) -> np.ndarray:
        read.append(row)
        return rng.normal(size=(64, 3)) + (row == "source")

    evidence = Evidence(("source", "target"), np.arange(64) % 2 == 0, features, "one")
    how: dict[str, Any] = {"draws": 8, "seed": 0, "kept": tmp_path}
    first = gaps(evidence, "x", 0, "target", **how, eigenvalues=fastest_eigenvalues())
    assert read
    read.clear()
    assert gaps(evidence, "x", 0, "target", **how) == first
    assert not read
    other = replace(evidence, identity="another")
    assert gaps(other, "x", 0, "target", **how) != first
    headline: tuple[str, int] = ("x", 0)
    near = nearness(evidence, "source", "target", headline, with_cmmd=False, **how)
    assert 0 < near.precision.low < near.precision.value < near.precision.high <= 1
    read.clear()
    assert nearness(evidence, "source", "target", headline, with_cmmd=False, **how) == near
    assert not read


def test_speeds_come_from_events(tmp_path: Path) -> None:
    assert of_dataset(tmp_path, 1) is None
    for seconds in (4.0, 2.0, 8.0):
        facts = {"ok": 4, "changed": 2, "change_s": seconds}
        event = Event(kind="shard-published", shard="k/test-a", seconds=seconds, facts=facts)
        append(tmp_path, WHOLE, event)
    append(tmp_path, WHOLE, Event(kind="run-finished", seconds=1.0))
    found = of_dataset(tmp_path, 1)
    assert found is not None
    assert (found.seconds, found.per_second) == (1.0, 1.0)
    assert of_dataset(tmp_path, 2) is None, "a pair's time is not its source's"
    changed = of_change(tmp_path, "k", ["test/a"])
    assert changed is not None
    assert changed.seconds == 2.0
    assert of_change(tmp_path, "k", ["test/b"]) is None
    both = together(found, changed)
    assert both is not None
    assert both.seconds == 3.0
    assert together(None, changed) is together(found, None) is None


def test_the_log_of_openings(tmp_path: Path) -> None:
    assert list(openings(tmp_path)) == []
    for rows in (["source"], ["source", "h\u00e9ad"]):
        note_opening(tmp_path, {"rows": rows})
    assert [one["rows"][-1] for one in openings(tmp_path)] == ["source", "h\u00e9ad"]
    assert all(one["time"] for one in openings(tmp_path))


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.stem)
def test_the_bundled_prompts(path: Path) -> None:
    found = read_prompts(path)
    assert len(found) == 32
    assert all(10 < len(prompt) < 80 for prompt in found)
    assert {one.stem for one in PROMPTS} == {*("portraits", "groups", "animals", "objects")} | {
        "scenes"
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a cat\n" * 9, "'a cat' stands twice; leave one out"),
        (b"a cat\n# no prompt\n\n", "has 1 prompts; give at least 8"),
        (b"\xff\xfe", "is no text in UTF-8"),
        (b"x" * 2000, "has 2000 letters; shorten it"),
    ],
)
def test_files_of_prompts_that_are_refused(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=told):
        read_prompts(path)
    with pytest.raises(ValueError, match="cannot be read"):
        read_prompts(tmp_path / "none.txt")


def like(finished: Path) -> DatasetConfig:
    return read_run(finished).config


def test_prompts_are_planned_like_any_dataset(finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd name {x}.txt"
    path.write_text("\n".join(f"thing {{{n}}} number {n}" for n in range(20)))
    plan_prompts(tmp_path / "out", path, like(finished), 3)
    plan = read_plan(tmp_path / "out").to_pylist()
    assert len(plan) == 60
    assert {one["split"] for one in plan} == {"test"}
    assert {one["prompt"] for one in plan} == set(path.read_text().splitlines())
    # All pictures of a prompt are in one half.
    assert len({(one["prompt"], one["half"]) for one in plan}) == 20
    assert len({one["source_seed"] for one in plan}) == 60
    config = read_run(tmp_path / "out").config
    assert (config.name, config.split.test) == ("odd-name--x-", 1)
    # The same again is the same; other prompts are another dataset.
    plan_prompts(tmp_path / "out", path, like(finished), 3)
    with pytest.raises(ValueError, match="belongs to another plan"):
        plan_prompts(tmp_path / "out", path, like(finished), 4)
    path.write_text("\n".join(f"thing {n}" for n in range(8)))
    with pytest.raises(ValueError, match=r"leave a half with less than 8; give more prompts"):
        plan_prompts(tmp_path / "few", path, like(finished), 1)


def test_another_draw_is_another_target_of_the_same_source(planned: Any) -> None:
    first, again = (
        read_plan(planned("small", "--stage.target.draw", str(draw), folder=str(draw))).to_pylist()
        for draw in (0, 1)
    )
    assert [one["source_seed"] for one in first] == [one["source_seed"] for one in again]
    assert not {one["target_seed"] for one in first} & {one["target_seed"] for one in again}


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_the_presets_evaluate(name: str) -> None:
    path = Path(f"configs/{name}.toml")
    settings = read_evaluate(path)
    assert settings.data in read_preset(path).dataset
    assert settings.numerics == FeatureNumerics(
        batch_size=settings.batch_size, threads=settings.threads, device=settings.device
    )
    assert read_evaluate(path, split="validation").split == "validation"
    kinds = {row.kind for row in settings.row}
    assert kinds >= {"head", "filter"}
    assert SplitSettings().test


def test_a_head_behind_a_dataset_is_looked_at_too(finished: Path, tmp_path: Path) -> None:
    """Pictures that a head has made are judged by what that head has seen."""
    data = read_dataset(finished, "test", ["source"])
    ids = data.plan["id"].to_pylist()
    revision = data.run.config.stage["source"].revision
    maker = PictureMaker(model="procedural", revision=revision)

    def save(name: str, trained_on: list[str]) -> str:
        facts: dict[str, Any] = {"trained_on": trained_on, "maker": maker, "profile": "procedural"}
        small_head(tmp_path / name, seed=len(trained_on), **facts)
        return read_config(tmp_path / name).weights_sha256

    def flags(head: str | None, weights: str) -> tuple[str, ...]:
        stage: Any = "enhanced"
        maker = ModelIdentity(model="head", revision="1", weights={WEIGHTS: weights})
        generator = replace(data.generator, models={stage: maker})
        row = DatasetRow(name="x", dataset="y", stage=stage, head=head)
        return maker_flags(row, replace(data, generator=generator), data, tmp_path)

    clean, seen = save("clean", ["a"]), save("seen", ids[:2])
    assert flags("clean", clean) == ()
    assert flags(None, clean) == ("training unknown",)
    with pytest.raises(ValueError, match="was made by another head than"):
        flags("clean", seen)
    with pytest.raises(ValueError, match=r"was trained on 2 of the \d+ samples"):
        flags("seen", seen)
    plain_row = DatasetRow(name="x", dataset="y")
    assert maker_flags(plain_row, data, data, tmp_path) == ()


def test_datasets_that_do_not_go_together(finished: Path, tmp_path: Path, planned: Any) -> None:
    data = read_dataset(finished, "test", ["source"])
    fewer = replace(data, plan=data.plan.slice(1))
    with pytest.raises(ValueError, match=r"row 'x': .* lacks the sample .* from the same names"):
        check_same_prompts("x", fewer, data)
    prompts = pa.array(["another"] * data.plan.num_rows)
    at = data.plan.column_names.index("prompt")
    other = replace(data, plan=data.plan.set_column(at, "prompt", prompts))
    with pytest.raises(ValueError, match=r"asks 'another' of .*compared on the same prompts"):
        check_same_prompts("x", other, data)
    with pytest.raises(ValueError, match=r"a half of test has \d prompts, and 3 prompts are left"):
        check_halves(replace(data, plan=data.plan.slice(0, 6)), "test", 3)
    with pytest.raises(ValueError, match="has no pictures yet; make some with relume generate"):
        read_dataset(planned("medium"), "test", ["source"])
    with pytest.raises(ValueError, match=r"plans nothing of test; plan it with --dataset.splits"):
        read_dataset(planned_and_begun(planned), "test", ["source"])


def planned_and_begun(planned: Any) -> Path:
    """A dataset of train alone."""
    folder: Path = planned("small", folder="train-alone")
    assert generate.main(["--here", str(folder)]) == 0
    return folder


def test_prompts_are_checked_before_anything_else(tmp_path: Path, finished: Path) -> None:
    data = replace(read_dataset(finished, "test", ["source"]))
    config = replace(data.run.config, generator=DiffusersSettings())
    data = replace(data, run=replace(data.run, config=config))
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "set.txt").write_text("\n".join(f"thing {n}" for n in range(9)))
    twice = (tmp_path / "a/set.txt", tmp_path / "b/set.txt")
    asked = Arguments(config=Path("x"), out=tmp_path, prompts=twice)
    with pytest.raises(ValueError, match="set stands twice; give each file a name of its own"):
        check_prompts(asked, data)
    check_prompts(replace(asked, prompts=twice[:1]), data)
