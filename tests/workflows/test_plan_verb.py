"""`relume plan` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from schemas.name import NAME_SCHEMA, Name
from schemas.records import to_table
from shards import space
from shards.run import read_planned
from shards.space import Room
from workflows.cli import main

BASELINE = ["plan", "configs/paper.toml", "--dataset", "baseline"]


def names_file(folder: Path, count: int) -> str:
    names = [
        Name(nconst=f"nm{n}", name=f"A{n} B{n}", birth_year=None, professions=["actor"])
        for n in range(count)
    ]
    pq.write_table(to_table(names, NAME_SCHEMA), folder / "names.parquet")
    return str(folder / "names.parquet")


def test_says_what_to_expect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BASELINE, "--out", str(tmp_path / "d")]) == 0
    said = capsys.readouterr()
    assert "baseline: 10,000 samples planned" in said.out
    assert "0.5 % 50, 1 % 100, 2 % 200, 20 % 2,000 of train" in said.out
    for gpu in ("A100", "H100", "RTX 4090"):
        assert gpu in said.out
    assert "next: relume generate" in said.err


def test_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*BASELINE, "--out", str(tmp_path / "d"), "--json"]
    assert main(argv) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["samples"], told["shards"]) == (10_000, 158)
    assert sum(told["splits"].values()) == 10_000
    assert main(argv) == 0  # the same again


def test_overrides_are_stored(tmp_path: Path) -> None:
    overrides = ["--seed", "3", "--dataset.count", "40", "--stage.source.steps", "2"]
    assert main([*BASELINE, "--out", str(tmp_path), *overrides]) == 0
    run, plan = read_planned(tmp_path)
    assert (run.config.seed, run.config.stage["source"].steps, plan.num_rows) == (3, 2, 40)


@pytest.mark.parametrize("wrong", [["--dataset.cuont", "4"], ["--dataset.size-px", "100"]])
def test_wrong_overrides(
    tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BASELINE, "--out", str(tmp_path / "d"), *wrong]) == 2
    said = capsys.readouterr().err
    assert "did you mean 'count'?" in said or "size_px = 100: should be a multiple of 16" in said
    assert not (tmp_path / "d").exists()


def test_a_preset_with_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path("configs/demo.toml").read_text().replace("gap = 1.0", "gapp = -1")
    (tmp_path / "my.toml").write_text(text.replace("count = 128", "count = 0"))
    argv = ["plan", str(tmp_path / "my.toml"), "--dataset", "baseline", "--out", str(tmp_path)]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert "my.toml: 2 mistakes" in said
    assert "generator.gapp = -1: unknown field; did you mean 'gap'?" in said
    assert "dataset.baseline.count = 0: should be greater than 0" in said


def test_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names, out = names_file(tmp_path, 64), str(tmp_path / "d")
    enhanced = ["plan", "configs/demo.toml", "--dataset", "enhanced", "--out", out]
    assert main(enhanced) == 2
    assert "choose some with relume names, and give them with --names" in capsys.readouterr().err
    assert main([*enhanced, "--names", names]) == 2
    assert "has 64 names, dataset.enhanced asks for 768" in capsys.readouterr().err
    assert main([*enhanced, "--names", names + "x"]) == 2
    assert "is no file; make it with relume names" in capsys.readouterr().err
    assert main([*BASELINE, "--out", out, "--names", names]) == 2
    assert "has no {name}; leave it out" in capsys.readouterr().err
    assert main([*enhanced, "--names", names, "--dataset.count", "64"]) == 0
    run, _ = read_planned(Path(out))
    assert run.names is not None
    assert run.names.rows == 64


def test_too_little_room_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rooms = [Room("the disk", 10**9, None), Room("the quota of /x", None, 100)]
    monkeypatch.setattr(space, "room_left", lambda _: rooms)
    assert main([*BASELINE, "--out", str(tmp_path / "d")]) == 0
    said = capsys.readouterr().err
    assert "warning: the disk has 1 GB left, the dataset needs 4.62 GB" in said
    assert "warning: the quota of /x has 100 files left, the dataset needs 490" in said


def test_another_plan_in_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BASELINE, "--out", str(tmp_path)]) == 0
    assert main([*BASELINE, "--out", str(tmp_path), "--dataset.count", "9"]) == 2
    said = capsys.readouterr().err
    assert "config.dataset.count: 10000, now 9" in said


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--fractions", "7"], "fractions item 1 = 7: should be less than or equal to 1"),
        (["--fractions", "0.1", "-1"], "fractions item 2 = -1: should be greater than 0"),
        (["--stage.source.guidance", "inf"], "guidance = inf: should be a finite number"),
        (
            ["--stage.teacher.steps", "28"],
            "--stage.teacher.steps: dataset.baseline does not use it",
        ),
        (["--dataset.prompt", "of {nmae}"], "only {name} may stand in braces"),
    ],
)
def test_overrides_are_held_to_the_ranges_of_a_preset(
    tmp_path: Path, wrong: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BASELINE, "--out", str(tmp_path / "d"), *wrong]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_nothing_is_made_of_what_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "names.parquet").write_text("no parquet")
    out = tmp_path / "d"
    demo = ["plan", "configs/demo.toml", "--out", str(out), "--dataset"]
    names = str(tmp_path / "names.parquet")
    for argv, told in (
        ([*demo, "enhanced", "--names", names], f"{names}: is no parquet file"),
        ([*demo, "enhancd"], "no [dataset.enhancd]; did you mean 'enhanced'?"),
        (
            [*demo, "baseline", "--dataset.count", "1", "--dataset.splits", "validation"],
            "none of its 1 samples falls in validation; raise dataset.count",
        ),
    ):
        assert main(argv) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert told in line
        assert not out.exists()


def test_hours_have_no_exponent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["--dataset.size-px", "2048", "--dataset.count", "1000"]
    slow = ["--stage.source.steps", "4000"]
    assert main([*BASELINE, "--out", str(tmp_path), *overrides, *slow]) == 0
    row = next(
        line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("RTX 4090")
    )
    # 1000 x (5.2 + 4000 x 17.7) TFLOP x 16 times the pixels, at 165 TFLOP/s.
    assert row == ["RTX", "4090", "3,599", "5,960"]


def test_scripts_see_the_warnings_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Path] = []

    def room_left(folder: Path) -> list[Room]:
        asked.append(folder)
        return [Room("the disk", 10, 3), Room("the quota of /x", None, None)]

    monkeypatch.setattr(space, "room_left", room_left)
    argv = [*BASELINE, "--dataset.count", "64", "--out", str(tmp_path / "d"), "--json"]
    assert main(argv) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert asked == [tmp_path / "d"]
    assert [warning.partition(" has ")[0] for warning in told["warnings"]] == ["the disk"] * 2
    assert said.err.count("warning: the disk has") == 2
    assert told["dataset"] == str(tmp_path / "d")
    assert {one["gpu"] for one in told["gpu_hours"]} >= {"A100", "H100"}


def test_every_mistake_of_file_and_command_line_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path("configs/demo.toml").read_text().replace("gap = 1.0", "gapp = -1")
    (tmp_path / "my.toml").write_text(text)
    argv = ["plan", str(tmp_path / "my.toml"), "--dataset", "baseline", "--out", str(tmp_path)]
    wrong = ["--dataset.size-px", "100", "--dataset.cuont", "4", "--seed", "-1"]
    assert main([*argv, *wrong, "--dataset.prompt", "of {nmae}"]) == 2
    said = capsys.readouterr().err
    for told in (
        "my.toml with what the command line sets: 5 mistakes",
        "generator.gapp = -1: unknown field; did you mean 'gap'?",
        "dataset.baseline.cuont = 4: unknown field; did you mean 'count'?",
        "dataset.baseline.size_px = 100: should be a multiple of 16",
        "dataset.baseline.prompt = 'of {nmae}': only {name} may stand in braces",
        "seed = -1: should be greater than or equal to 0",
    ):
        assert told in said


def test_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["plan", "configs/paper.toml", "--dataset", "enhanced", "--settings", "--seed", "4"]
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert "--seed 4\n    seed of everything in the run\n" in said
    assert "--stage.target.strength 0.7\n    img2img strength of a target" in said
    assert "--dataset.stages source target\n" in said
