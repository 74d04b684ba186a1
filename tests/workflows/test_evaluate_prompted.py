"""`relume evaluate` with CLIP-Score, ImageReward and HPS as columns, and people beside them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from models.tiny.write import write
from shards.plan import read_plan
from tests.presets import PROCEDURAL
from workflows.cli import main

Capture = pytest.CaptureFixture[str]

PRESET = f"""
seed = 11
{PROCEDURAL}
[split]
train = 1
validation = 1
test = 8

[dataset.pairs]
prompt = "A portrait"
count = 48
stages = ["source", "target"]
size_px = 64
shard_size = 24
batch_size = 8
splits = ["test"]

[evaluate]
data = "pairs"
draws = 8

[[evaluate.network]]
kind = "texture"

[[evaluate.network]]
kind = "clip_score"
model = "TINY/clip"

[[evaluate.network]]
kind = "image_reward"
model = "TINY/imagereward"

[[evaluate.network]]
kind = "hps"
model = "TINY/hps"

[[evaluate.row]]
kind = "dataset"
name = "again"
dataset = "pairs"
stage = "target"
block = "another family"
"""
LABELS = ("clip_score", "image_reward", "hps")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    for kind in ("clip", "imagereward", "hps"):
        write(kind, folder / "tiny" / kind)
    config = folder / "preset.toml"
    config.write_text(PRESET.replace("TINY", str(folder / "tiny")))
    argv = ["plan", str(config), "--dataset", "pairs", "--out", str(folder / "pairs")]
    assert main(argv) == 0
    assert main(["generate", "--here", str(folder / "pairs")]) == 0
    return folder


def evaluate(root: Path, out: Path, config: str = "preset.toml") -> int:
    argv = ["evaluate", str(root / config), "--root", str(root), "--out", str(out), "--here"]
    return main(argv)


@pytest.fixture(scope="module")
def out(root: Path) -> Path:
    assert evaluate(root, root / "out") == 0
    return root / "out"


def numbers(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "pictures.csv").read_text().splitlines()))


def test_they_are_columns_with_errors(out: Path) -> None:
    told = json.loads((out / "report.json").read_text())
    rows = numbers(out)
    assert {row["row"] for row in rows} == {"source", "target", "again"}
    for label in LABELS:
        for name in ("source", "target", "again"):
            mean = told["evaluation"]["looks"][name]["means"][label]
            alone = np.array([float(row[label]) for row in rows if row["row"] == name])
            assert len(alone) == told["evaluation"]["num"]
            assert mean["value"] == pytest.approx(alone.mean())
            assert mean["error"] == pytest.approx(alone.std(ddof=1) / len(alone) ** 0.5)
            prompted = told["evaluation"]["looks"][name]["means"][f"{label}_prompted"]
            assert prompted["value"] == 1
    means = {name: told["evaluation"]["looks"][name]["means"] for name in ("source", "target")}
    assert means["source"]["hps"] != means["target"]["hps"]
    assert set(told["evaluation"]["networks"]["hps"]["weights"]) == {
        *("HPS_v2.1_compressed.pt", "vocab.json", "merges.txt")
    }
    heads = {one["title"]: one["columns"] for one in told["tables"]}
    for title in ("Pictures", "Pictures, another family"):
        assert [*heads[title]][1:4] == ["CLIP-Score", "ImageReward", "HPS v2.1"]


def test_they_are_in_every_form_of_the_tables(out: Path, root: Path, capsys: Capture) -> None:
    assert evaluate(root, out) == 0  # finished before: it only shows
    shown = capsys.readouterr()
    assert "HPS v2.1" in shown.out + shown.err
    for file in ("report.md", "tables.tex"):
        text = (out / file).read_text()
        for name in ("CLIP-Score", "ImageReward", "HPS v2.1"):
            assert name in text


def test_people_are_compared_with_its_file(out: Path, root: Path, capsys: Capture) -> None:
    """Table 2: pair accuracy of each metric, out of evaluate's own file."""
    rows = {(row["row"], row["sample"]): float(row["hps"]) for row in numbers(out)}
    samples = sorted({sample for _, sample in rows})[:20]
    lines: list[list[object]] = [["rater", "sample", "row", "rank"]]
    for sample in samples:
        order = sorted(("source", "target"), key=lambda row: -rows[row, sample])
        lines += [["ann", sample, row, rank] for rank, row in enumerate(order, 1)]
    rankings = root / "rankings.csv"
    with rankings.open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    words = [f"{label}={out / 'pictures.csv'}" for label in LABELS]
    assert main(["facescore", "align", str(rankings), "--json", "--scores", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    table = next(one for one in told["tables"] if "Table 2" in one["title"])
    shares = {row[0]: row[1] for row in table["rows"]}
    assert set(LABELS) <= set(shares)
    assert shares["hps"] == "100.0 %", "people agree with it by construction"


def test_prompts_that_are_cut_are_told(root: Path, out: Path, tmp_path: Path) -> None:
    """A prompt of more tokens than ImageReward reads, which CLIP still reads whole."""
    config = tmp_path / "long.toml"
    words = "a portrait of a person " * 9
    preset = (root / "preset.toml").read_text().replace('"A portrait"', f'"{words.strip()}"')
    config.write_text(
        preset.replace('data = "pairs"', 'data = "long"').split("[[evaluate.row]]")[0]
    )
    argv = ["plan", str(config), "--dataset", "pairs", "--out", str(tmp_path / "long")]
    assert main(argv) == 0
    assert main(["generate", "--here", str(tmp_path / "long")]) == 0
    argv = ["evaluate", str(config), "--root", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*argv, "--here"]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "ImageReward read the first 35 tokens of 100.0 % of the prompts." in text
    assert len(read_plan(tmp_path / "long")) == len(read_plan(root / "pairs"))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("clip", "clip: has no weights of"),
        ("imagereward", "imagereward/ImageReward.pt: is missing; get it with: relume fetch"),
        ("hps", "hps/HPS_v2.1_compressed.pt: is missing; get it with: relume fetch --scorer HPS"),
    ],
)
def test_missing_weights_end_it_in_one_line(
    kind: str, told: str, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    config = tmp_path / "preset.toml"
    config.write_text((root / "preset.toml").read_text().replace(f"tiny/{kind}", f"none/{kind}"))
    argv = ["evaluate", str(config), "--root", str(root), "--out", str(tmp_path / "out")]
    assert main([*argv, "--here"]) == 2
    shown = capsys.readouterr().err
    assert told in shown
    assert "relume fetch" in shown
    assert not (tmp_path / "out").exists()
