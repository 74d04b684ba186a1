"""`relume audit` and `relume curate`: who is in a dataset, as the painter knows and models say."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.tiny.write import write
from schemas.audit import AUDIT_SCHEMA
from schemas.records import check_record
from schemas.truth import AGE_GROUPS
from shards import filesystem
from shards.encoding import read_parquet
from shards.events import read as read_events
from shards.filesystem import file_facts
from tasks.audit.settings import read_matrices
from tasks.selection_file import read_selection, selected_ids
from workflows.cli import main
from workflows.curate import _some

Capture = pytest.CaptureFixture[str]
MATRIX = "[[gender]]\nname = 'a'\nnote = 'b'\ncounts = {{ {} }}\n"


def audit(dataset: Path, out: Path, *options: str) -> int:
    return main(["audit", str(dataset), "--out", str(out), "--here", *options])


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, finished: Path, small_config: Path) -> Path:
    """The audit of a dataset of pairs against one of sources alone, by the painter's truth."""
    folder = tmp_path_factory.mktemp("audit")
    baseline = folder / "baseline"
    argv = ["plan", str(small_config), "--dataset", "small", "--out", str(baseline)]
    assert main([*argv, "--dataset.stages", "source"]) == 0
    assert main(["generate", "--here", str(baseline)]) == 0
    out = folder / "audit"
    assert audit(finished, out, "--against", str(baseline), "--analyser", "truth") == 0
    return out


def rows_of(root: Path) -> list[dict[str, object]]:
    table = read_parquet(root / "rows.parquet")
    check_record(table.schema, AUDIT_SCHEMA, str(root))
    return list(table.to_pylist())


def test_the_audit_is_the_painters_truth(audited: Path, finished: Path) -> None:
    truth = {row["id"]: row for row in read_parquet(finished / "truth.parquet").to_pylist()}
    rows = rows_of(audited)
    assert Counter(row["stage"] for row in rows) == {"source": 64, "target": 64}
    assert {row["id"] for row in rows} == truth.keys()
    assert all(row["age"] == truth[row["id"]]["age"] for row in rows)
    told = json.loads((audited / "report.json").read_text())
    assert told["procedural"] is True
    ours = next(one for one in told["populations"] if one["stage"] == "target")
    for attribute, name in (("gender", "gender"), ("age", "age_group"), ("ethnicity", "ethnicity")):
        expected = Counter(str(one[name]) for one in truth.values())
        found = {row["group"]: row["count"] for row in ours["attributes"][attribute]["rows"]}
        assert {group: count for group, count in found.items() if count} == expected
    # Nobody is under 18 in a drawing.
    assert {row["group"] for row in ours["attributes"]["age"]["rows"]} == {"under 18", *AGE_GROUPS}
    # What the painter tells is certain: its own matrix corrects nothing.
    gender = ours["attributes"]["gender"]["rows"]
    assert all(row["corrected"] == pytest.approx(row["share"]) for row in gender)


def test_the_files_of_an_audit(audited: Path) -> None:
    assert {"report.json", "report.md", "figures", "rows.parquet", "against"} <= {
        path.name for path in audited.iterdir()
    }
    assert "| Prompt |" in (audited / "report.md").read_text()
    for figure in ("distributions", "faces-medium-target", "portraits-by-age-medium-source"):
        assert (audited / "figures" / f"{figure}.png").stat().st_size > 1000
        assert (audited / "figures" / f"{figure}.svg").exists()
    tables = json.loads((audited / "report.json").read_text())["tables"]
    assert len(tables) > 5
    assert all(len(row) == len(one["columns"]) for one in tables for row in one["rows"])


def test_killed_and_continued_on_ray(finished: Path, audited: Path, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "workflows.audit", str(finished)]
    argv += ["--out", str(tmp_path / "audit"), "--analyser", "truth"]
    driver = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while driver.poll() is None and not list((tmp_path / "audit").glob("*/*.done.json")):
        time.sleep(0.01)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    made = set((tmp_path / "audit").glob("*/*.done.json"))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert made
    for path in (tmp_path / "audit").glob("*/*.parquet"):
        whole = audited / path.relative_to(tmp_path / "audit")
        assert path.read_bytes() == whole.read_bytes()
    assert len(rows_of(tmp_path / "audit")) == 128
    again = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    published = [e for e in read_events(tmp_path / "audit") if e["kind"] == "shard-published"]
    assert len(published) <= 10


def report_files(root: Path) -> dict[str, bytes]:
    paths = [root / "report.json", root / "report.md", root / "rows.parquet"]
    paths += (root / "figures").iterdir()
    return {path.name: path.read_bytes() for path in paths}


def test_the_last_of_the_parts_reports(
    finished: Path, audited: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "audit"
    assert audit(finished, out, "--analyser", "truth", "--part", "1/2") == 0
    assert not (out / "report.json").exists()
    assert "5 shards not audited yet, so there is no report" in capsys.readouterr().err
    assert audit(finished, out, "--analyser", "truth", "--part", "2/2") == 0
    assert (out / "rows.parquet").read_bytes() == (audited / "rows.parquet").read_bytes()
    made = report_files(out)
    assert len(made) > 10
    assert audit(finished, out, "--analyser", "truth", "--report-only") == 0
    assert report_files(out) == made


def test_two_parts_that_gather_at_once(
    finished: Path, audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Part 2 begins and ends between the moment that part 1 lists shards and writes their rows."""
    out, others = tmp_path / "audit", audited / "against"
    baseline = audited.parent / "baseline"
    argv = ["--analyser", "truth", "--against", str(baseline)]
    replace, told = filesystem.replace_file, []

    def late(folder: Path, path: Path, content: Callable[..., None]) -> None:
        if path.name == "rows.parquet" and not told:
            told.append("part 2")
            assert audit(finished, out, *argv, "--part", "2/2") == 0
            told.append("reported" if (out / "report.json").exists() else "left it to part 1")
        replace(folder, path, content)

    monkeypatch.setattr(filesystem, "replace_file", late)
    assert audit(finished, out, *argv, "--part", "1/2") == 0
    # Part 1 had not looked at the other dataset yet.
    assert told == ["part 2", "left it to part 1"]
    assert (out / "rows.parquet").read_bytes() == (audited / "rows.parquet").read_bytes()
    assert (out / "against/rows.parquet").read_bytes() == (others / "rows.parquet").read_bytes()
    assert report_files(out) == report_files(audited)


def test_both_of_two_parts_may_be_the_last(
    finished: Path, audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Part 1 has published all that is its own, and part 2 comes and reports before it does."""
    out, reported = tmp_path / "audit", []
    replace = filesystem.replace_file

    def late(folder: Path, path: Path, content: Callable[..., None]) -> None:
        if path.name == "rows.parquet" and not reported:
            reported.append(b"")
            assert audit(finished, out, "--analyser", "truth", "--part", "2/2") == 0
            reported.append((out / "report.json").read_bytes())
        replace(folder, path, content)

    monkeypatch.setattr(filesystem, "replace_file", late)
    assert audit(finished, out, "--analyser", "truth", "--part", "1/2") == 0
    assert (out / "rows.parquet").read_bytes() == (audited / "rows.parquet").read_bytes()
    assert (out / "report.json").read_bytes() == reported[1]


def test_deepfaces_own_code_on_tiny_models(finished: Path, tmp_path: Path) -> None:
    """In a process of its own, as DeepFace's engine is one for a whole process; offline."""
    home, weights = tmp_path / "home", tmp_path / "weights"
    write("deepface-onnx", home)
    write("lpips", weights)
    offline = (
        "import socket, sys\n"
        "def refuse(*a): raise AssertionError(a)\n"
        "socket.socket.connect = refuse\n"
        "from workflows.audit import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    argv = [sys.executable, "-c", offline, str(finished), "--out", str(tmp_path / "audit")]
    argv += ["--here", "--weights", str(home), "--lpips", "alex", "--lpips-weights", str(weights)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "audit")
    statuses = Counter(row["status"] for row in rows)
    assert statuses.total() == 128
    assert statuses["error"] == 0
    seen = [row for row in rows if row["status"] in ("ok", "multi_face")]
    assert seen
    assert all(row["detector"] == "retinaface" for row in rows)
    for row in seen:
        assert len(row["embedding"]) == 512  # type: ignore[arg-type]
        assert len(row["age_probabilities"]) == 101  # type: ignore[arg-type]
    assert all((row["lpips"] is not None) == (row["stage"] == "target") for row in rows)
    record = json.loads((tmp_path / "audit/audit.json").read_text())
    assert {"retinaface.onnx", "arcface_weights.onnx"} <= record["weights"].keys()


def test_missing_weights_are_named(finished: Path, tmp_path: Path, capsys: Capture) -> None:
    assert audit(finished, tmp_path / "a", "--weights", str(tmp_path / "none")) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path}/none/.deepface/weights/age_model_weights.onnx: is missing" in told
    assert "relume fetch --faces" in told
    assert main(["doctor", "--faces", "--weights", str(tmp_path / "none")]) == 1
    assert "MISSING faces retinaface.onnx" in capsys.readouterr().out


def test_what_is_not_audited(
    finished: Path,
    audited: Path,
    planned: Callable[..., Path],
    tmp_path: Path,
    capsys: Capture,
) -> None:
    empty, truth = planned(), ["--analyser", "truth"]
    (tmp_path / "wrong.toml").write_text("[gender]\nman = 0.5\nwoman = 0.6\n")
    (tmp_path / "unknown.toml").write_text("[gender]\nman = 0.5\nwomen = 0.5\n")
    ours = str(finished)
    for argv, told in [
        ([ours, "--out", str(audited), *truth, "--report-only"], "give the same --against again"),
        ([ours, "--out", str(tmp_path / "a"), *truth, "--threads", "2"], "--threads: is of Deep"),
        ([str(empty), "--out", str(tmp_path / "a"), *truth], "has no pictures yet"),
        ([ours, "--out", str(tmp_path / "a"), "--against", ours, *truth], "is the dataset itself"),
        ([ours, "--out", f"{ours}/audit", *truth], "choose a place outside"),
        ([ours, "--out", str(tmp_path / "a"), "--detector", "nobody"], "detector"),
        (
            [ours, "--out", str(tmp_path / "a"), *truth, "--target", str(tmp_path / "wrong.toml")],
            "wrong.toml",
        ),
        (
            [
                ours,
                "--out",
                str(tmp_path / "a"),
                *truth,
                "--target",
                str(tmp_path / "unknown.toml"),
            ],
            "women",
        ),
    ]:
        assert main(["audit", "--here", *argv]) == 2, argv
        assert told in capsys.readouterr().err
    assert main(["generate", "--here", str(empty)]) == 0
    baseline = str(audited.parent / "baseline")
    assert audit(empty, audited, *truth, "--against", baseline) == 2
    assert "was begun of another dataset" in capsys.readouterr().err


def test_a_damaged_dataset_is_given_up_by_shard_and_told(
    generated: Path, tmp_path: Path, capsys: Capture
) -> None:
    tar = generated / "train/shard-000001.tar"
    damaged = bytearray(tar.read_bytes())
    damaged[2000] ^= 1
    tar.unlink()
    tar.write_bytes(damaged)
    assert audit(generated, tmp_path / "audit", "--analyser", "truth") == 1
    assert "not all of the dataset is audited" in capsys.readouterr().err
    assert main(["generate", "--here", str(generated), "--mend"]) == 0
    assert audit(generated, tmp_path / "audit", "--analyser", "truth", "--retry-failed") == 0
    assert len(rows_of(tmp_path / "audit")) == 128


def test_what_a_known_matrix_blurred_comes_back_by_it(finished: Path, tmp_path: Path) -> None:
    """The truth, misread by a known matrix, is told by the verb that is given this matrix."""
    misread = Path(shutil.copytree(finished, tmp_path / "misread"))
    truth = read_parquet(misread / "truth.parquet")
    rng = np.random.default_rng(4)
    women = np.asarray(truth["gender"].to_pylist()) == "woman"
    # Of the men all are seen as such, of the women half.
    seen = women & (rng.random(len(women)) < 0.5)
    genders = pa.array(np.where(seen, "woman", "man"))
    place = truth.schema.get_field_index("gender")
    path, told_of = misread / "truth.parquet", misread / "generator.json"
    before = file_facts(path).sha256
    path.unlink()
    pq.write_table(truth.set_column(place, truth.schema.field(place), genders), path)
    text = told_of.read_text()
    assert before in text
    told_of.unlink()
    told_of.write_text(text.replace(before, file_facts(path).sha256))
    matrices = tmp_path / "ours.toml"
    matrices.write_text(
        '[[gender]]\nname = "ours"\nnote = "counted"\n'
        "counts = { man = { man = 500 }, woman = { man = 250, woman = 250 } }\n"
    )
    argv = ["--analyser", "truth", "--matrices", str(matrices)]
    assert audit(misread, tmp_path / "audit", *argv) == 0
    told = json.loads((tmp_path / "audit/report.json").read_text())
    gender = told["populations"][0]["attributes"]["gender"]
    assert [one["matrix"] for one in gender["matrices"]] == ["ours", "no error"]
    woman = gender["rows"][1]
    assert woman["share"] < women.mean() - 0.02
    assert woman["sampling_high"] > woman["share"] == pytest.approx(seen.mean())
    assert woman["corrected"] == pytest.approx(2 * seen.mean(), abs=0.01)
    assert woman["corrected_low"] < women.mean() < woman["corrected_high"]
    # Without it the same rows are taken as they are seen.
    assert audit(misread, tmp_path / "audit", *argv[:2], "--report-only") == 0
    told = json.loads((tmp_path / "audit/report.json").read_text())
    assert len(told["populations"][0]["attributes"]["gender"]["matrices"]) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[size]\n", "size: should be [[gender]]"),
        ("", "nothing: should be [[gender]]"),
        ("[gender]\nname = 'a'\n", "several may follow, so write [[gender]]"),
        ("[[gender]]\nname = 'a'\n", "gender[0]: should have a name, a note"),
        (MATRIX.format("man = { man = 1 }"), "should have a table for each of man, woman"),
        (MATRIX.format("man = { men = 1 }, woman = {}"), "counts.man: 'men' is no group"),
        (MATRIX.format("man = { man = nan }, woman = {}"), "man = nan: should be a number from 0"),
        (MATRIX.format("man = { man = 1 }, woman = {}"), "needs counts of 0 or more"),
        (MATRIX.format("man = 3, woman = 4"), "counts.man: 3 is no group"),
        (
            MATRIX.format("man = { man = 1 }, woman = { man = 1 }"),
            "two of its rows are nearly alike",
        ),
    ],
)
def test_matrices_that_nothing_can_be_corrected_by(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(ValueError, match=re.escape(told)) as found:
        read_matrices(tmp_path / "m.toml")
    assert str(found.value).startswith(f"{tmp_path}/m.toml: ")


def curate(audit: Path, out: Path, *options: str) -> int:
    return main(["curate", str(audit), "--out", str(out), *options])


def test_a_selection_comes_to_its_target(
    audited: Path, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "selection.parquet"
    argv = ["--target", "uniform", "--attributes", "gender", "--tolerance", "0", "--json"]
    assert curate(audited, out, *argv) == 0
    told = json.loads(capsys.readouterr().out)
    chosen = selected_ids(read_selection(out, finished))
    assert len(chosen) == told["selected"]
    gender = {
        row["id"]: row["gender_probabilities"].index(1.0)  # type: ignore[attr-defined]
        for row in rows_of(audited)
        if row["stage"] == "target"
    }
    counts = Counter(gender[one] for one in chosen)
    fewest = min(Counter(gender.values()).values())
    # As many as there are, and of an odd number one more of those that abound.
    assert sorted(counts.values()) == [fewest, fewest + 1]
    table = pq.read_table(out)
    assert table.num_rows == 64
    assert set(table.filter(table["selected"])["reason"].to_pylist()) == {None}
    left_out = [row for row in table.to_pylist() if not row["selected"]]
    assert all(row["reason"] for row in left_out)
    # The same again is the same file; another seed chooses others among equals.
    first = out.read_bytes()
    assert curate(audited, out, *argv) == 0
    assert out.read_bytes() == first
    assert curate(audited, out, *argv, "--seed", "1") == 0
    assert out.read_bytes() != first


def test_the_report_of_a_selection(
    audited: Path, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = Path(shutil.copytree(audited, tmp_path / "audit"))
    chosen = tmp_path / "half women.parquet"
    assert curate(out, chosen, "--target", "uniform", "--attributes", "gender") == 0
    whole = report_files(out)
    baseline = str(audited.parent / "baseline")
    argv = ["--analyser", "truth", "--report-only", "--against", baseline]
    argv += ["--selection", str(chosen)]
    assert audit(finished, out, *argv) == 0
    assert report_files(out) == whole
    told = json.loads((out / "selected/half women/report.json").read_text())
    assert told["title"] == "Audit of medium, selected against small"
    taken = selected_ids(read_selection(chosen, finished))
    ours = next(one for one in told["populations"] if one["stage"] == "target")
    assert ours["num"] == len(taken) < 64
    shares = [row["share"] for row in ours["attributes"]["gender"]["rows"]]
    assert shares == pytest.approx([0.5, 0.5], abs=0.06)  # one in eight is a woman before
    figures = {path.name for path in (out / "selected/half women/figures").iterdir()}
    assert "faces-medium-selected-target.png" in figures
    # The gallery of the selected alone takes these tables; after another choice they are refused.
    capsys.readouterr()
    show = ["gallery", str(finished), "--out", str(tmp_path / "g"), "--audit", str(out)]
    show += ["--workers", "1", "--selection", str(chosen), "--selected-only"]
    assert main([*show, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["samples"] == facts["selected"] == len(taken)
    assert "medium, selected" in (tmp_path / "g/data/report.js").read_text()
    assert (tmp_path / "g/figures/faces-medium-selected-target.svg").exists()
    assert curate(out, chosen, "--size", "5") == 0
    assert main(show) == 0
    assert "those of" in capsys.readouterr().err
    assert not (tmp_path / "g/data/report.js").exists()
    assert audit(finished, out, *argv[:-1], str(out / "rows.parquet")) == 2


def test_which_kinds_of_names_to_draw_more_of(
    named_dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    """All are of one kind, so that more of them change nothing; a target that is met needs none."""
    assert audit(named_dataset, tmp_path / "audit", "--analyser", "truth") == 0
    names = named_dataset.parent / "names.parquet"
    capsys.readouterr()
    argv = ["--draws", str(names), "--by", "profession", "--target"]
    out = tmp_path / "s.parquet"
    assert curate(tmp_path / "audit", out, *argv, "uniform", "--attributes", "age") == 0
    said = capsys.readouterr()
    assert "no mix of these kinds of names reaches the target" in said.out
    assert "actor" in said.out
    assert "too few even then: age = 51+" in said.err
    rows = [row for row in rows_of(tmp_path / "audit") if row["stage"] == "target"]
    men = sum(row["gender_probabilities"][0] == 1 for row in rows) / len(rows)  # type: ignore[index]
    shares = tmp_path / "shares.toml"
    shares.write_text(f"[gender]\nman = {men:.12f}\nwoman = {1 - men:.12f}\n")
    assert curate(tmp_path / "audit", out, *argv, str(shares)) == 0
    assert "0 more names would reach the target" in capsys.readouterr().out


def test_what_is_told_of_a_target_that_many_groups_lack(
    audited: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert curate(audited, tmp_path / "s.parquet", "--target", "uniform", "--joint") in (0, 1)
    said = capsys.readouterr()
    assert "no more fit the target: too few of man | 18-30 | black" in said.err
    assert "under 18" not in said.out + said.err
    many = [f"man | {number}" for number in range(8)]
    assert _some(many[:6]) == ", ".join(many[:6])
    assert _some(many) == f"{', '.join(many[:6])} and 2 more, see --json"


def test_what_is_unfit_is_left_out_with_its_reason(
    audited: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "selection.parquet"
    options = ["--near-cosine", "0.95", "--min-identity", "0.5", "--min-sharpness", "1e9"]
    assert curate(audited, out, *options[:4], "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert 0 < told["selected"] < told["of"]
    assert list(told["left_out"]) == ["near-duplicate, cosine at least 0.95"]
    assert curate(audited, out, *options) == 1
    assert "sharpness below 1e+09" in capsys.readouterr().out


def test_what_cannot_be_curated(audited: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "s.parquet"
    for argv, told in [
        ([str(tmp_path), "--out", str(out)], "make one with relume audit"),
        ([str(audited), "--out", str(tmp_path / "s.csv")], "let the name end in .parquet"),
        ([str(audited), "--out", str(out), "--size", "0"], "should be at least 1"),
        ([str(audited), "--out", str(out), "--size", "65"], "out of reach: 64 samples are fit"),
        ([str(audited), "--out", str(out), "--min-identity", "nan"], "is a cosine; should be -1"),
        ([str(audited), "--out", str(out), "--min-sharpness", "-1"], "should be at least 0"),
        ([str(audited), "--out", str(out), "--draws", "n.parquet"], "give one"),
        ([str(audited), "--out", str(out), "--stage", "teacher"], "source, target"),
        (
            [str(audited), "--out", str(out), "--target", "uniform", "--size", "64"],
            "64",
        ),
    ]:
        assert main(["curate", *argv]) == 2, argv
        assert told in capsys.readouterr().err


def test_a_gallery_of_an_audited_dataset(audited: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "gallery"
    argv = [str(finished), "--out", str(out), "--audit", str(audited), "--workers", "1"]
    assert main(["gallery", *argv]) == 0
    report, summary = told_to_page(out, "report"), told_to_page(out, "summary")
    assert report["tables"][0]["title"] == "Table 1, in the paper's form"
    # Every number of rows leads to as many.
    (counts,) = [
        one
        for one in report["tables"]
        if (one["part"], one["title"]) == ("medium, target", "Perceived ethnicity, counts")
    ]
    (there,) = [one for one in summary["attributes"] if one["key"] == "target-ethnicity"]
    for group, cell, *_ in counts["rows"]:
        assert cell["filter"] == {"target-audit": ["ok"], "target-ethnicity": [group]}
        assert int(cell["text"]) == there["counts"][there["values"].index(group)]
    known = {one["key"]: set(one["values"]) for one in summary["attributes"]}
    links = [
        cell
        for one in report["tables"]
        for row in one["rows"]
        for cell in row
        if isinstance(cell, dict) and "filter" in cell
    ]
    assert len(links) > 100
    assert all(set(words) <= known[key] for one in links for key, words in one["filter"].items())
    # The others are not in this gallery.
    others = [one for one in report["tables"] if one["part"] == "small, source"]
    assert others
    assert not any(isinstance(cell, dict) for one in others for row in one["rows"] for cell in row)
    assert report["figures"][0]["file"] == "distributions.svg"
    assert all(one["alt"] != one["title"] for one in report["figures"])
    shutil.rmtree(out)


def told_to_page(gallery: Path, key: str) -> dict[str, Any]:
    """What a script of a gallery gives to the page."""
    text = (gallery / f"data/{key}.js").read_text()
    told: dict[str, Any] = json.loads(text[text.index(",") + 1 : text.rindex(")")])
    return told
