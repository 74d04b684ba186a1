"""`relume gallery` on the command line; how its pages look is in test_gallery_in_chromium.py."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from shards.encoding import read_parquet
from shards.provenance import ROOT
from shards.reader import Reader
from tasks.gallery import shape
from workflows import generate
from workflows.cli import main


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def value(path: Path) -> Any:
    """What a data file hands to the page; it may hold nothing else."""
    text = path.read_text("utf-8")
    assert text.startswith("relume.take(")
    assert text.endswith(");\n")
    key, told = json.loads(f"[{text[len('relume.take(') : -3]}]")
    assert str(path).endswith(f"{key}.js")
    return told


def test_the_same_inputs_make_the_same_bytes(
    named_dataset: Path,
    audit_folder: Path,
    gallery_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["gallery", str(named_dataset), "--audit", str(audit_folder), "--exact", "20"]
    # In this process instead of in several.
    assert main([*argv, "--out", str(tmp_path / "g"), "--workers", "1"]) == 0
    said = capsys.readouterr()
    assert "150 samples" in said.out
    assert "source and target" in said.out
    assert "150 samples at 64 px, 20 exact copies: about" in said.err
    assert hashes(tmp_path / "g") == hashes(gallery_folder)
    assert [path.name for path in tmp_path.iterdir()] == ["g"]
    (tmp_path / "g" / "index.html").write_text("older")
    assert main([*argv, "--out", str(tmp_path / "g"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["replaced"], told["samples"], told["exact"]) == (True, 150, 20)
    assert (told["files"], told["bytes"] > 300_000) == (len(hashes(gallery_folder)), True)
    assert hashes(tmp_path / "g") == hashes(gallery_folder)
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_pictures_are_those_of_the_dataset(named_dataset: Path, gallery_folder: Path) -> None:
    told = value(gallery_folder / "data" / "summary.js")
    exact = {path.name: path.read_bytes() for path in (gallery_folder / "pictures").iterdir()}
    assert len(exact) == 40
    rows = read_parquet(named_dataset / "manifest.parquet")["id"].to_pylist()
    worst = []
    with Reader(named_dataset) as reader:
        for position in range(0, len(reader), 7):
            sample = reader.row(position)["id"]
            place = rows.index(sample)
            sheet = Image.open(
                gallery_folder / f"sheets/{place // told['pairs_per_sheet']:06d}.webp"
            )
            line, column = divmod(place % told["pairs_per_sheet"], told["sheet_columns"])
            for part, stage in enumerate(reader.stages):
                left = (column * 2 + part) * 64
                shown = sheet.crop((left, line * 64, left + 64, line * 64 + 64))
                wanted = Image.open(io.BytesIO(reader.read(position, stage)))
                error = np.asarray(shown, float) - np.asarray(wanted.convert("RGB"), float)
                worst.append(float(np.sqrt((error**2).mean())))
        for name, data in exact.items():
            sample, stage, _ = name.split(".")
            assert data == reader.read(reader.position(sample), stage)  # type: ignore[arg-type]
    # Of 255; another picture is off by 40 and more.
    assert max(worst) < 8


def test_half_of_the_exact_copies_are_flagged(audit_folder: Path, gallery_folder: Path) -> None:
    audit = read_parquet(audit_folder / "rows.parquet").to_pandas()
    flagged = set(audit[audit.status != "ok"]["id"])
    copied = {path.name.split(".")[0] for path in (gallery_folder / "pictures").iterdir()}
    assert len(flagged) == 16
    assert 10 <= len(copied & flagged) <= 12


def test_smaller_pictures(named_dataset: Path, tmp_path: Path) -> None:
    argv = ["gallery", str(named_dataset), "--out", str(tmp_path / "g")]
    assert main([*argv, "--size-px", "32", "--exact", "all"]) == 0
    told = value(tmp_path / "g" / "data" / "summary.js")
    assert (told["picture_px"], told["size_px"], told["num_exact"]) == (32, 64, 139)
    assert len(list((tmp_path / "g" / "pictures").iterdir())) == 278
    with Image.open(tmp_path / "g" / "sheets" / "000000.webp") as sheet:
        size = sheet.size
    assert size == (told["sheet_columns"] * 64, -(-64 // told["sheet_columns"]) * 32)


@pytest.mark.parametrize(("px", "pairs"), [(64, 64), (128, 64), (256, 16), (512, 4)])
def test_sheets_stay_small(px: int, pairs: int) -> None:
    from types import SimpleNamespace

    rows = pa.table({"id": ["a"] * 1000})
    config = SimpleNamespace(dataset=SimpleNamespace(size_px=512))
    gathered: Any = SimpleNamespace(
        run=SimpleNamespace(config=config), stages=("source", "target"), rows=rows
    )
    assert shape.shape_of(gathered, px).pairs_per_sheet == pairs
    assert shape.shape_of(gathered, None).picture_px == 256


def test_an_incomplete_dataset(planned: Callable[..., Path], tmp_path: Path) -> None:
    dataset = planned()
    argv = ["gallery", str(dataset), "--out", str(tmp_path / "g")]
    assert main(argv) == 2  # nothing is there yet
    assert generate.main(["--here", "--part", "1/2", str(dataset)]) in (0, 1)
    assert main(argv) == 1
    told = value(tmp_path / "g" / "data" / "summary.js")
    assert (told["complete"], told["num_rows"], told["num_planned"]) == (False, 4, 6)
    assert generate.main(["--here", str(dataset)]) == 0
    assert main(argv) == 0  # the gallery grows with its dataset
    assert value(tmp_path / "g" / "data" / "summary.js")["complete"]


def wrong(
    capsys: pytest.CaptureFixture[str], dataset: Path, out: Path, *options: str, code: int = 2
) -> str:
    capsys.readouterr()
    before = hashes(out) if out.is_dir() else None
    beside = sorted(out.parent.iterdir()) if out.parent.exists() else None
    assert main(["gallery", str(dataset), "--out", str(out), *options]) == code
    assert (hashes(out) if out.is_dir() else None) == before
    assert (sorted(out.parent.iterdir()) if out.parent.exists() else None) == beside
    said = capsys.readouterr().err
    return next(line for line in said.splitlines() if line.startswith("error: "))


def test_what_stands_there_is_left_alone(
    named_dataset: Path,
    gallery_folder: Path,
    generated: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    assert "is no gallery; choose another folder" in wrong(capsys, named_dataset, out)
    file = tmp_path / "file"
    file.write_text("")
    assert "is no folder" in wrong(capsys, named_dataset, file)
    other = Path(shutil.copytree(gallery_folder, tmp_path / "other"))
    assert "is the gallery of another dataset" in wrong(capsys, generated, other)
    (other / "notes.txt").write_text("mine")
    assert "has 'notes.txt', which is no part" in wrong(capsys, named_dataset, other)
    (other / "gallery.json").write_text("{}")
    assert "is no gallery" in wrong(capsys, named_dataset, other)
    inside = named_dataset / "gallery"
    assert "lies in the dataset" in wrong(capsys, named_dataset, inside)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["gallery", str(named_dataset), "--out", str(empty)]) == 0
    assert (empty / "index.html").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--size-px", "65"], "--size-px 65: should be from 16 to 64"),
        (["--size-px", "8"], "--size-px 8: should be from 16 to 64"),
        (["--exact", "-1"], "--exact -1: should be a whole number from 0, or all"),
        (["--exact", "many"], "--exact many: should be a whole number from 0, or all"),
        (["--workers", "0"], "--workers 0: should be at least 1"),
        (["--audit", "nowhere"], "--audit nowhere: is no folder"),
        (["--selection", "nowhere.parquet"], "nowhere.parquet: is not there"),
        (["--selected-only"], "--selected-only: of which selection? Give one with --selection"),
        (["--audti", "x"], "--audti: unknown option, did you mean '--audit'"),
    ],
)
def test_wrong_options(
    named_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: str,
) -> None:
    assert told in wrong(capsys, named_dataset, tmp_path / "g", *options)


def test_no_room(
    named_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    told = wrong(capsys, named_dataset, tmp_path / "g")
    assert "has 1 kB free, about" in told


def changed(audit: Path, folder: Path, **columns: Any) -> Path:
    """The audit with another value in the first row of some columns, or without the rest."""
    rows = read_parquet(audit / "rows.parquet")
    told = rows.to_pylist()
    told[0] |= columns
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(told, schema=rows.schema), folder / "rows.parquet")
    return folder


def test_an_audit_of_something_else(
    named_dataset: Path, audit_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = read_parquet(audit_folder / "rows.parquet")["id"][2].as_py()
    for name, columns, told in [
        ("id", {"id": "nm9-00"}, "sample 'nm9-00' is not in this dataset"),
        ("stage", {"stage": "teacher"}, "stage 'teacher': this dataset has source and target"),
        ("sha", {"picture_sha256": "0" * 64}, "is another picture than the dataset's"),
        ("twice", {"id": second}, f"{second} has 2 rows for its source"),
        ("status", {"status": "fine"}, "source-audit 'fine': should be one of ok, no_face"),
    ]:
        audit = changed(audit_folder, tmp_path / name, **columns)
        said = wrong(capsys, named_dataset, tmp_path / "g", "--audit", str(audit))
        assert told in said
        assert (str(audit / "rows.parquet") in said) or name == "status"
    (tmp_path / "empty").mkdir()
    said = wrong(capsys, named_dataset, tmp_path / "g", "--audit", str(tmp_path / "empty"))
    assert "rows.parquet: is not there" in said


def test_some_audit_is_enough(named_dataset: Path, audit_folder: Path, tmp_path: Path) -> None:
    rows = read_parquet(audit_folder / "rows.parquet")
    target = rows.filter(pa.compute.equal(rows["stage"], "target")).slice(0, 20)
    (tmp_path / "a").mkdir()
    pq.write_table(target, tmp_path / "a" / "rows.parquet")
    argv = ["gallery", str(named_dataset), "--audit", str(tmp_path / "a")]
    assert main([*argv, "--out", str(tmp_path / "g")]) == 0
    told = value(tmp_path / "g" / "data" / "summary.js")
    counts = {
        one["key"]: dict(zip(one["values"], one["counts"], strict=True))
        for one in told["attributes"]
    }
    assert told["audited"] == ["target"]
    assert (counts["target-audit"]["ok"], counts["target-audit"]["not audited"]) == (20, 130)
    assert counts["target-gender"]["not known"] == 130
    assert "kept-gender" not in counts
    assert not told["report"]


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ("{", "is no JSON"),
        ("[]", "should be an object with lists of tables and of figures"),
        ('{"tables": 3}', "should be an object with lists of tables and of figures"),
        ('{"tables": [{"columns": ["a"]}]}', "tables[0]: should have a list of columns"),
        ('{"tables": ["a"]}', "tables[0]: should have a list of columns"),
        ('{"tables": [{"columns": ["a"], "rows": [[1, 2]]}]}', "rows[0]: should be a list of 1"),
        ('{"tables": [{"columns": ["a"], "rows": [[[1]]]}]}', "[1] should be text, a number"),
        ('{"tables": [{"columns": ["a"], "rows": [[{"text": []}]]}]}', "should be text, a number"),
        ('{"figures": [{"file": "../../x.png"}]}', "figure '../../x.png' is not a PNG or SVG"),
        ('{"figures": [7]}', "figure 7 is not a PNG or SVG"),
    ],
)
def test_a_report_that_is_none(
    named_dataset: Path,
    audit_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    report: str,
    told: str,
) -> None:
    audit = Path(shutil.copytree(audit_folder, tmp_path / "audit"))
    (audit / "report.json").write_text(report)
    assert told in wrong(capsys, named_dataset, tmp_path / "g", "--audit", str(audit))


def test_a_damaged_picture_ends_it(
    named_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = Path(shutil.copytree(named_dataset, tmp_path / "dataset"))
    tar = dataset / "train" / "shard-000001.tar"
    data = bytearray(tar.read_bytes())
    data[5000] ^= 1
    tar.write_bytes(data)
    said = wrong(capsys, dataset, tmp_path / "g")
    assert "shard-000001.tar" in said
    assert "is not as published" in said
    assert "--mend" in said


def test_a_manifest_of_another_plan(
    named_dataset: Path, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(named_dataset / "manifest.parquet", generated / "manifest.parquet")
    assert "is not in the plan" in wrong(capsys, generated, tmp_path / "g")


def run(dataset: Path, out: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "workflows.gallery", str(dataset), "--out", str(out)]
    return subprocess.Popen(
        [*argv, "--workers", "2"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def wait_for(what: Callable[[], object]) -> Any:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not happen within a minute")


def test_a_killed_build_leaves_the_older_gallery_and_is_cleared_up(
    named_dataset: Path, gallery_folder: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(gallery_folder, tmp_path / "g"))
    before = hashes(out)
    process = run(named_dataset, out)
    wait_for(lambda: [p for p in tmp_path.glob(".g.*.part") if (p / "data/summary.js").exists()])
    process.kill()
    process.communicate()
    assert hashes(out) == before
    left = list(tmp_path.glob(".g.*.part"))
    assert len(left) == 1
    # Its processes end by themselves.
    wait_for(lambda: not _group(process.pid))
    assert main(["gallery", str(named_dataset), "--out", str(out)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def _group(leader: int) -> list[int]:
    """Processes of a session that are still alive."""
    import psutil

    alive = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return alive


def test_stopped_in_order(named_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "g"
    process = run(named_dataset, out)
    wait_for(lambda: list(tmp_path.glob(".g.*.part/rows/*.js")) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said, said
    if process.returncode == 130:
        assert said.splitlines()[-1] == "interrupted; the same command continues"
        assert not out.exists()
    else:  # it had ended its work just before
        assert process.returncode in (0, -signal.SIGINT)
        assert (out / "index.html").exists()
    assert not list(tmp_path.glob(".g.*"))


def test_what_was_moved_aside_comes_back(
    named_dataset: Path, gallery_folder: Path, tmp_path: Path
) -> None:
    """A driver killed between its two renames."""
    from tasks.gallery import folder

    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    out = tmp_path / "g"
    aside = tmp_path / f".g.{folder._host()}-{dead.pid}.old"
    shutil.copytree(gallery_folder, aside)
    mine = {"dataset": json.loads((aside / "gallery.json").read_text())["dataset"]}
    with folder.staged_gallery(out, mine):
        assert hashes(out) == hashes(gallery_folder)
    assert json.loads((out / "gallery.json").read_text())["dataset"] == mine["dataset"]
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_a_process_that_dies(
    named_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tasks.gallery import processes

    monkeypatch.setattr(processes, "_make", os.abort)
    monkeypatch.setattr(processes, "_start", _die)
    said = wrong(capsys, named_dataset, tmp_path / "g", code=1)
    assert "a process that drew sheets died" in said
    assert "--workers 1" in said


def _die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
