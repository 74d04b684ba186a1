"""`relume facescore align`: people's rankings as the paper's tables, and numbers beside them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.facescore import FACE_SCORE_SCHEMA
from schemas.study import Study, Trial
from shards.record_file import publish_record
from tasks.rating.people_rankings import FEW, MIXED, MORE, OTHER
from workflows.cli import main

Capture = pytest.CaptureFixture[str]
ROWS = ("SD1.5", "RV5.1", "SDXL")
RATERS = ("ann", "ben", "cat", "dan", "eve")


def write_csv(path: Path, columns: Sequence[str], lines: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *lines])
    return path


def ranking(rater: str, sample: str, order: Sequence[str]) -> list[list[object]]:
    return [[rater, sample, row, rank] for rank, row in enumerate(order, 1)]


@pytest.fixture
def ranked(tmp_path: Path) -> Path:
    """Forty samples by five raters; RV5.1 is best in most, SD1.5 worst; people err at times."""
    rng = np.random.default_rng(4)
    lines: list[list[object]] = []
    for number in range(40):
        worth = dict(zip(ROWS, np.array([0.0, 2.0, 1.6]) + rng.normal(size=3), strict=True))
        for rater in RATERS:
            seen = {row: value + rng.normal(scale=0.4) for row, value in worth.items()}
            order = sorted(ROWS, key=lambda row: -seen[row])
            lines += ranking(rater, f"s{number}", order)
    return write_csv(tmp_path / "rankings.csv", ("rater", "sample", "row", "rank"), lines)


def told_by(capsys: Capture, *words: str | Path) -> dict[str, Any]:
    assert main(["facescore", "align", *map(str, words), "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_rankings_become_table_1(ranked: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert main(["facescore", "align", str(ranked), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "People's scores (Table 1)" in shown.out
    assert "more than three of five" in shown.err
    told = json.loads((out / "report.json").read_text())
    assert told["raters"] == list(RATERS)
    people = told["people"]
    assert people["RV5.1"]["mean"] > people["SDXL"]["mean"] > people["SD1.5"]["mean"]
    assert sum(one["mean"] for one in people.values()) == pytest.approx(6)
    # By hand: the majority label of each picture.
    votes: dict[str, dict[str, list[int]]] = {}
    with ranked.open() as file:
        for line in csv.DictReader(file):
            score = 4 - int(line["rank"])
            votes.setdefault(line["sample"], {}).setdefault(line["row"], []).append(score)
    decided = []
    for by_row in votes.values():
        major = {
            row: next((s for s in (1, 2, 3) if given.count(s) >= 3), 0)
            for row, given in by_row.items()
        }
        if sorted(major.values()) == [1, 2, 3]:
            decided.append(major)
    assert told["undecided"] == 40 - len(decided)
    for row in ROWS:
        shares = [np.mean([one[row] == score for one in decided]) for score in (1, 2, 3)]
        assert people[row]["shares"] == pytest.approx(shares)
    four = np.mean(
        [
            max(given.count(score) for score in (1, 2, 3)) >= 4
            for by_row in votes.values()
            for given in by_row.values()
        ]
    )
    assert told["agreement"]["4"]["share"] == pytest.approx(four)
    assert told["agreement"]["4"]["by_chance"] == pytest.approx(33 / 243)
    assert r"\toprule" in (out / "tables.tex").read_text()
    assert "| Row | Score 1 |" in (out / "report.md").read_text()
    # The same folder again; not that of another report.
    assert main(["facescore", "align", str(ranked), "--out", str(out)]) == 0
    (out / "report.json").write_text('{"captions": 3}')
    assert main(["facescore", "align", str(ranked), "--out", str(out)]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert (out / "report.json").read_text() == '{"captions": 3}'


def test_numbers_are_compared_with_people(ranked: Path, tmp_path: Path, capsys: Capture) -> None:
    told = told_by(capsys, ranked, "--vote", "pairs")
    means = {row: one["mean"] for row, one in told["people"].items()}
    lines = [[row, f"s{n}", means[row]] for n in range(40) for row in ROWS]
    good = write_csv(tmp_path / "good.csv", ("row", "sample", "by-row"), lines)
    rng = np.random.default_rng(1)
    noise = [[row, sample, rng.normal()] for row, sample, _ in lines]
    flat = [[row, sample, 1 if row != "SDXL" or sample != "s3" else ""] for row, sample, _ in lines]
    words = [
        f"fs={good}",
        f"noise={write_csv(tmp_path / 'noise.csv', ('row', 'sample', 'x'), noise)}",
        f"flat={write_csv(tmp_path / 'flat.csv', ('row', 'sample', 'x'), flat)}",
    ]
    told = told_by(capsys, ranked, "--vote", "pairs", "--scores", *words)
    metrics = told["metrics"]
    # What knows each row's mean alone is right as often as the better row wins.
    assert metrics["fs"]["accuracy"]["value"] > 0.65
    assert metrics["fs"]["accuracy"]["low"] > 0.5
    assert 0.3 < metrics["noise"]["accuracy"]["value"] < 0.7
    assert metrics["flat"]["accuracy"]["value"] == 0.5
    assert metrics["flat"]["accuracy"]["gaps"] in (0, 2)
    assert metrics["flat"]["accuracy"]["ties"] == metrics["flat"]["accuracy"]["num"]
    assert metrics["flat"]["pearson"] is None
    assert metrics["flat"]["pictures_without_a_number"] == 1
    assert metrics["fs"]["medians"]["SD1.5"] == 0
    assert metrics["fs"]["medians"]["RV5.1"] == 1
    assert metrics["fs"]["pearson"]["value"] > 0.4
    turned = told_by(
        capsys, ranked, "--vote", "pairs", "--scores", words[0], "--lower-is-better", "fs"
    )
    wrong = turned["metrics"]["fs"]["accuracy"]["value"]
    assert wrong == pytest.approx(1 - metrics["fs"]["accuracy"]["value"])
    # Neighbours are harder to tell apart than the best from the worst.
    near = told_by(capsys, ranked, "--vote", "pairs", "--scores", words[0], "--pairs", "adjacent")
    assert near["metrics"]["fs"]["accuracy"]["num"] == 2 * (40 - near["undecided"])
    assert main(["facescore", "align", str(ranked), "--scores", *words]) == 0
    assert "Random guess" in capsys.readouterr().out


def test_ties_and_gaps_are_told_and_not_guessed(tmp_path: Path, capsys: Capture) -> None:
    lines = [
        *ranking("ann", "s0", ("RV5.1", "SDXL", "SD1.5")),
        *ranking("ben", "s0", ("RV5.1", "SDXL", "SD1.5")),
        ["cat", "s0", "RV5.1", 1],
        ["cat", "s0", "SDXL", 1],
        ["cat", "s0", "SD1.5", 2],
        ["dan", "s0", "RV5.1", 3],
        ["dan", "s0", "SDXL", ""],
        ["dan", "s0", "SD1.5", 1],
        ["eve", "s0", "RV5.1", 2],
        ["eve", "s0", "SDXL", 3],
        ["eve", "s0", "SD1.5", 4],
        ["ann", "s1", "RV5.1", 1],
        ["ann", "s1", "SDXL", 2],
    ]
    path = write_csv(tmp_path / "r.csv", ("rater", "sample", "row", "rank"), lines)
    assert main(["facescore", "align", str(path)]) == 0
    shown = capsys.readouterr()
    assert "left out 1 ranking with equal ranks" in shown.err
    assert "line 8: cat on s0" in shown.err
    assert "left out 1 ranking with pictures without a rank" in shown.err
    assert "left out 1 ranking with ranks that are not 1, 2, 3 and so on" in shown.err
    assert "left out 1 ranking with a sample of fewer pictures than most" in shown.err
    told = told_by(capsys, path)
    assert told["samples"] == 1
    assert told["people"]["RV5.1"]["mean"] == 3
    assert told["agreement_raters"] == 2
    assert told["raters"] == ["ann", "ben"]


def test_a_misspelt_row_costs_its_own_ranking(
    ranked: Path, tmp_path: Path, capsys: Capture
) -> None:
    """One cell of one rater: 199 of 200 rankings stay, and the name is told."""
    whole = told_by(capsys, ranked)
    path = tmp_path / "typo.csv"
    path.write_text(ranked.read_text().replace("ann,s7,RV5.1", "ann,s7,RV51"))
    assert path.read_text() != ranked.read_text()
    assert main(["facescore", "align", str(path)]) == 0
    said = capsys.readouterr().err
    assert "left out 1 ranking with a row that most rankings of the sample lack" in said
    assert "row 'RV51' is in 1 ranking, all left out; did you mean 'RV5.1'?" in said
    told = told_by(capsys, path)
    assert (told["samples"], told["rows"]) == (40, whole["rows"])
    assert sum(map(len, told["left_out"].values())) == 1
    assert told["rows_left_out"] == {"RV51": 1}
    # All rankings of a rater who spells otherwise, who is one of five.
    path.write_text(
        "".join(
            line.replace("RV5.1", "RV51") if line.startswith("ben") else line
            for line in ranked.read_text().splitlines(keepends=True)
        )
    )
    told = told_by(capsys, path)
    assert (told["samples"], told["rows"]) == (40, whole["rows"])
    assert {why: len(one) for why, one in told["left_out"].items()} == {
        "a row that most rankings of the sample lack": 40
    }
    assert told["agreement_raters"] == 4


def test_more_and_fewer_pictures_than_most_are_left_out(tmp_path: Path, capsys: Capture) -> None:
    three = ("RV5.1", "SDXL", "SD1.5")
    lines = [line for rater in RATERS for n in range(4) for line in ranking(rater, f"s{n}", three)]
    lines += ranking("ann", "few", three[:2])
    lines += ranking("ann", "more", (*three, "FLUX"))
    lines += ranking("ben", "more", (*three, "FLUX"))
    # Of two raters each one knows another row, and both are known elsewhere.
    lines += ranking("ann", "mixed", ("RV5.1", "SDXL", "FLUX"))
    lines += ranking("ben", "mixed", ("RV5.1", "SDXL", "SD1.5"))
    # Here one of them is in no other sample.
    lines += ranking("ann", "told", ("RV5.1", "SDXL", "SD15"))
    lines += ranking("ben", "told", ("RV5.1", "SDXL", "SD1.5"))
    path = write_csv(tmp_path / "r.csv", ("rater", "sample", "row", "rank"), lines)
    told = told_by(capsys, path)
    assert told["rows"] == sorted(three)
    assert told["samples"] == 5
    assert {why: len(one) for why, one in told["left_out"].items()} == {
        FEW: 1, MORE: 2, MIXED: 2, OTHER: 1
    }  # fmt: skip
    assert told["rows_left_out"] == {"FLUX": 3, "SD15": 1}
    alone = write_csv(tmp_path / "a.csv", ("rater", "sample", "row", "rank"), lines[-6:])
    assert main(["facescore", "align", str(alone)]) == 2
    assert "rankings: none is of use: 2 with a sample of which nobody can tell" in (
        capsys.readouterr().err
    )


def write_scores(folder: Path, rows: Sequence[tuple[str, str | None, float | None]]) -> None:
    folder.mkdir()
    empty = dict.fromkeys(FACE_SCORE_SCHEMA.names)
    told = [
        empty | {"id": one, "stage": stage, "status": "ok", "score": score, "scorer": "x"}
        for one, stage, score in rows
    ]
    pq.write_table(pa.Table.from_pylist(told, schema=FACE_SCORE_SCHEMA), folder / "rows.parquet")


def test_face_scores_are_read_from_their_folders(
    ranked: Path, tmp_path: Path, capsys: Capture
) -> None:
    for number, row in enumerate(ROWS):
        found = [(f"s{n}.png", None, None if n == 3 else number + n / 99) for n in range(40)]
        write_scores(tmp_path / row, found)
    word = "fs=" + ",".join(f"{row}:{tmp_path / row}" for row in ROWS)
    told = told_by(capsys, ranked, "--scores", word)
    # A picture without a face has no score, and counts for nothing.
    assert told["metrics"]["fs"]["pictures_without_a_number"] == 3
    write_scores(tmp_path / "set", [(f"s{n}", s, n) for n in range(4) for s in ("good", "bad")])
    assert main(["facescore", "align", str(ranked), "--scores", f"x=SDXL:{tmp_path}/set"]) == 2
    assert "has bad and good; say ROW:" in capsys.readouterr().err
    told = told_by(capsys, ranked, "--scores", f"x=SDXL:{tmp_path}/set:good")
    assert told["metrics"]["x"]["pictures_without_a_number"] == 120 - 4


def test_a_study_of_rate_is_read(tmp_path: Path, capsys: Capture) -> None:
    def trial(number: int, kind: str) -> Trial:
        rows = ROWS if kind == "choice" else ("SDXL", "(spoilt)")
        pictures = {f"p{number}{row}": row for row in rows}
        return Trial(id=f"t{number}", kind=kind, sample=f"s{number}", pictures=pictures)  # type: ignore[arg-type]

    trials = (trial(0, "choice"), trial(1, "choice"), trial(2, "catch"))
    study = Study(
        question="Which face is best?",
        rows=ROWS,
        trials=trials,
        repeats=("t0",),
        together=3,
        seed=0,
    )
    folder = tmp_path / "study"
    folder.mkdir()
    publish_record(folder / "study.json", study)
    files = []
    for rater in RATERS:
        orders = [("t0", ("RV5.1", "SDXL", "SD1.5")), ("t1", ("SDXL", "RV5.1", "SD1.5"))]
        careless = rater == "eve"
        catch = ("(spoilt)", "SDXL") if careless else ("SDXL", "(spoilt)")
        lines = []
        for place, (name, order) in enumerate([*orders, ("t2", catch), orders[0]]):
            codes = [f"p{name[1]}{row}" for row in order]
            repeat = int(place == 3)
            shown = " ".join(sorted(codes))
            lines.append(
                [study.key(), rater, place, name, repeat, shown, " ".join(codes), 2.5, "now"]
            )
        columns = ["study", "rater", "place", "trial", "repeat", "shown", "order", "seconds", "at"]
        files.append(write_csv(tmp_path / f"{rater}.csv", columns, lines))
    assert main(["facescore", "align", str(folder)]) == 2
    assert "is a study; name the CSV files" in capsys.readouterr().err
    assert main(["facescore", "align", str(folder), *map(str, files)]) == 0
    assert "left out, by the catch trials: eve" in capsys.readouterr().err
    told = told_by(capsys, folder, *files)
    assert told["raters"] == ["ann", "ben", "cat", "dan"]
    assert told["samples"] == 2
    assert told["people"]["RV5.1"]["mean"] == 2.5
    assert told["agreement"]["4"]["share"] == 1


@pytest.mark.parametrize(
    ("text", "words", "told"),
    [
        ("a,b\n1,2\n", [], "should have the columns rater, sample, row, rank"),
        ("rater,sample,row,rank\n", [], "holds no ranking"),
        ("rater,sample,row,rank\na,s,x\n", [], "line 2: has too few fields"),
        ("rater,sample,row,rank\na,s,x,first\n", [], "rank 'first': should be 1 for the best"),
        ("rater,sample,row,rank\na,s,x,1\na,s,x,2\n", [], "line 3: a ranked x of s twice"),
        ("rater,sample,row,rank\n,s,x,1\n", [], "should have a rater, a sample and a row"),
        ("rater,sample,row,rank\na,s,x,1\n", [], "no sample has two ranked pictures"),
        (
            "rater,sample,row,rank\na,s,x,1\na,s,y,2\nb,s,x,2\nb,s,y,1\n",
            [],
            "no majority decides any of 1 samples; gather more, or try --vote pairs",
        ),
        (None, ["--scores", "x"], "--scores x: should be NAME=TABLE"),
        (None, ["--scores", "x=nowhere"], "--scores x=nowhere: nowhere: no such file"),
        (None, ["--scores", "x=SD9:nowhere"], "row 'SD9': people ranked"),
        (None, ["--scores", "x=SDXL:nowhere"], "nowhere/rows.parquet is missing"),
        (None, ["--lower-is-better", "y"], "--lower-is-better y"),
        (None, ["--min-catch", "2"], "--min-catch 2: should be 0 to 1"),
    ],
)
def test_wrong_input_is_told(
    text: str | None,
    words: list[str],
    told: str,
    ranked: Path,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    path = ranked
    if text is not None:
        path = tmp_path / "given.csv"
        path.write_text(text)
    assert main(["facescore", "align", str(path), *words]) == 2
    assert told in capsys.readouterr().err


def test_more_mistakes_are_told(ranked: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["facescore", "align", str(ranked), str(ranked)]) == 0
    other = tmp_path / "other.csv"
    other.write_text(ranked.read_text())
    assert main(["facescore", "align", str(ranked), str(other)]) == 2
    assert "ranked s0 in" in capsys.readouterr().err
    assert main(["facescore", "align", str(tmp_path / "none.csv")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    two = write_csv(tmp_path / "two.csv", ("row", "sample", "a", "b"), [["SDXL", "s0", 1, 2]])
    assert main(["facescore", "align", str(ranked), "--scores", f"x={two}"]) == 2
    assert "has the numbers a, b; give it one of their names" in capsys.readouterr().err
    assert told_by(capsys, ranked, "--scores", f"a={two}")["metrics"]["a"]["accuracy"] is None
    assert main(["facescore", "align", str(ranked), "--scores", f"a={two}", f"a={two}"]) == 2
    assert "a is there already" in capsys.readouterr().err
    write_scores(tmp_path / "twice", [("s0.png", None, 1.0), ("s0.jpg", None, 2.0)])
    assert main(["facescore", "align", str(ranked), "--scores", f"x=SDXL:{tmp_path}/twice"]) == 2
    assert "has two pictures of s0" in capsys.readouterr().err
