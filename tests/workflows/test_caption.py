"""`relume caption` from pictures to rows, texts and report: resumed, in parts, with mistakes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from models.tiny.write import write
from shards.reader import Reader
from tasks.captions.file import read_captions
from tests.photographs import write_photographs
from workflows.cli import main

Capture = pytest.CaptureFixture[str]
Caption = Callable[..., int]


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write("llava", folder / "llava")
    write("sd15", folder / "sd15")
    return folder


@pytest.fixture(scope="session")
def options(tiny_models: Path) -> list[str]:
    told = ["--model", str(tiny_models / "llava"), "--clip-tokenizer", str(tiny_models / "sd15")]
    return [*told, "--max-new-tokens", "20", "--batch-size", "3", "--device", "cpu"]


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures, of which one cannot be read and two are the same."""
    folder = write_photographs(tmp_path_factory.mktemp("photographs") / "faces", 8)
    inside = folder / "images1024x1024"
    shutil.copyfile(inside / "00000/00001.png", inside / "00000/copy.png")
    (inside / "00000/broken.png").write_bytes((inside / "00000/00001.png").read_bytes()[:999])
    (inside / "LICENSE.txt").write_text("mine")
    return folder


@pytest.fixture
def caption(photographs: Path, options: list[str]) -> Caption:
    def run(out: Path, *more: str, of: Path = photographs) -> int:
        here = [] if "--workers" in more else ["--here"]
        return main(["caption", str(of), "--out", str(out), *options, *here, "--chunk", "4", *more])

    return run


@pytest.fixture(scope="module")
def captioned(
    tmp_path_factory: pytest.TempPathFactory, photographs: Path, options: list[str]
) -> Path:
    """Captions of the folder, which tests only read."""
    out = tmp_path_factory.mktemp("captioned") / "out"
    argv = ["caption", str(photographs), "--out", str(out), *options, "--here", "--chunk", "4"]
    assert main(argv) == 1
    return out


def rows(out: Path) -> dict[str, dict]:
    return {row["id"]: row for row in pq.read_table(out / "rows.parquet").to_pylist()}


def tables(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.suffix in (".parquet", ".json", ".md") and "owners" not in path.parts
        and path.name != "captions.json"
    }  # fmt: skip


def test_a_folder_becomes_rows(captioned: Path, photographs: Path) -> None:
    found = rows(captioned)
    assert len(found) == 10
    assert found["00000-broken"]["status"] == "error"
    assert found["00000-broken"]["reason"].startswith("is damaged: image file is truncated")
    assert found["00000-broken"]["caption"] is None
    assert found["00000-copy"]["status"] == "duplicate"
    assert found["00000-copy"]["reason"] == "says the same as 00000-00001"
    first = found["00000-00000"]
    assert first["path"] == "images1024x1024/00000/00000.png"
    assert first["status"] in ("ok", "cut_off")
    assert first["clip_tokens"] > first["num_tokens"]
    assert first["clip_cut"] == (first["clip_tokens"] > 77)
    statuses = {row["status"] for row in found.values()}
    assert {"ok", "cut_off", "duplicate", "error"} == statuses
    report = json.loads((captioned / "report.json").read_text())
    assert (report["pictures"], report["planned"], report["done"]) == (10, 3, 3)
    assert sum(report["statuses"].values()) == 10
    assert "# Captions of faces" in (captioned / "report.md").read_text()


def test_nobody_captions_what_is_behind_a_transparent_part(
    caption: Caption, photographs: Path, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    with Image.open(photographs / "images1024x1024/00000/00001.png") as image:
        whole = image.convert("RGBA")
    whole.save(given / "whole.png")
    whole.putpixel((3, 3), (0, 0, 0, 254))
    whole.save(given / "open.png")
    assert caption(tmp_path / "out", of=given) == 1
    found = rows(tmp_path / "out")
    assert found["whole"]["caption"]
    assert found["open"]["status"] == "error"
    assert found["open"]["reason"].startswith("has transparent parts")


def test_a_dataset_is_captioned_by_its_shards(
    caption: Caption, generated: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "captions"
    assert caption(out, of=generated) == 2
    assert "has source and target; name one of these with --stage" in capsys.readouterr().err
    assert caption(out, "--stage", "teacher", of=generated) == 2
    assert "--stage teacher: " in capsys.readouterr().err
    assert caption(out, "--stage", "target", of=generated) == 0
    told = capsys.readouterr().out
    assert "pictures a second in" in told
    assert "a worker without what loading takes" in told
    reader = Reader(generated)
    found = rows(out)
    assert set(found) == set(reader.rows["id"].to_pylist())
    row = reader.row(5)
    assert found[row["id"]]["picture_sha256"] == row["target_sha256"]
    assert found[row["id"]]["shard"] == row["shard"]
    ids = [one for one, told in found.items() if told["status"] in ("ok", "cut_off")]
    texts = read_captions(out, ids, dataset=generated, stage="target").texts
    assert texts == {one: found[one]["caption"] for one in ids}
    with pytest.raises(ValueError, match=r"of the stage 'target', .* are of 'source'; caption"):
        read_captions(out, ids, dataset=generated, stage="source")


def test_killed_and_resumed_gives_the_same_tables(
    caption: Caption, captioned: Path, photographs: Path, options: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    told = ["--out", str(out), *options, "--here", "--chunk", "4"]
    command = [sys.executable, "-m", "workflows.caption", str(photographs), *told]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as run:
        while not list(out.glob("pictures/*.done.json")) and run.poll() is None:
            time.sleep(0.001)
        os.kill(run.pid, signal.SIGKILL)
    before = len(list(out.glob("pictures/*.done.json")))
    assert 1 <= before < 3
    assert caption(out) == 1
    assert tables(out) == tables(captioned)


def test_parts_make_the_same_tables(
    caption: Caption, captioned: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "parts"
    assert caption(out, "--part", "2/2") == 1  # its picture that cannot be read
    assert "not all of it is captioned; the same command continues" in capsys.readouterr().err
    assert json.loads((out / "report.json").read_text())["done"] == 1
    assert caption(out, "--part", "1/2") == 0
    assert tables(out) == tables(captioned)


def test_nothing_is_done_twice(caption: Caption, captioned: Path, capsys: Capture) -> None:
    before = tables(captioned)
    assert caption(captioned, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["speed"] == {}
    assert tables(captioned) == before


def test_shards_that_come_later_are_captioned_later(
    caption: Caption, generated: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, lost = tmp_path / "captions", tmp_path / "lost"
    lost.mkdir()
    for path in list(generated.glob("test/shard-000000.*")):
        path.rename(lost / path.name)
    assert caption(out, "--stage", "source", of=generated) == 1
    assert "not all of it is captioned" in capsys.readouterr().err
    for path in lost.iterdir():
        path.rename(generated / "test" / path.name)
    assert caption(out, "--stage", "source", of=generated) == 0


def test_other_pictures_or_settings_need_another_folder(
    caption: Caption, captioned: Path, photographs: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = Path(shutil.copytree(captioned, tmp_path / "out"))
    assert caption(out, "--template", "picture-1") == 2
    told = capsys.readouterr().err
    assert "was begun of other pictures or with other settings; choose another --out" in told
    assert "settings.template: 'portrait-1', now 'picture-1'" in told
    more = Path(shutil.copytree(photographs, tmp_path / "faces"))
    assert caption(out, of=more) == 1  # where they lie is no part of it
    Image.new("RGB", (64, 64), "red").save(more / "another.png")
    assert caption(out, of=more) == 2
    assert "photos.rows: 10, now 11" in capsys.readouterr().err


def test_a_picture_that_changed_meanwhile_is_no_other_caption(
    caption: Caption, photographs: Path, tmp_path: Path, capsys: Capture
) -> None:
    faces = Path(shutil.copytree(photographs, tmp_path / "faces"))
    out = tmp_path / "out"
    assert caption(out, "--part", "1/3", of=faces) == 0
    changed = faces / "images1024x1024/01000/00007.png"
    kept = changed.read_bytes()
    changed.write_bytes(kept + b"x")
    assert caption(out, of=faces) == 2
    assert "photos.sha256" in capsys.readouterr().err
    changed.write_bytes(kept)
    assert caption(out, of=faces) == 1


def test_texts_lie_in_the_folders_own_layout(
    caption: Caption, captioned: Path, photographs: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = Path(shutil.copytree(captioned, tmp_path / "out"))
    texts = tmp_path / "texts"
    (texts / "images1024x1024/01000").mkdir(parents=True)
    (texts / "images1024x1024/01000/00004.txt").write_text("a person's own")
    assert caption(out, "--sidecars", str(texts)) == 1
    assert "1 text file left as they are" in capsys.readouterr().err
    found = rows(out)
    written = {str(path.relative_to(texts)) for path in texts.rglob("*.txt")}
    usable = [row for row in found.values() if row["status"] in ("ok", "cut_off")]
    assert written == {row["path"].replace(".png", ".txt") for row in usable}
    assert (texts / "images1024x1024/00000/00000.txt").read_text() == (
        found["00000-00000"]["caption"] + "\n"
    )
    assert (texts / "images1024x1024/01000/00004.txt").read_text() == "a person's own"


def test_a_report_needs_no_model(
    caption: Caption, captioned: Path, photographs: Path, generated: Path, tmp_path: Path,
    capsys: Capture,
) -> None:  # fmt: skip
    out = Path(shutil.copytree(captioned, tmp_path / "out"))
    for name in ("rows.parquet", "report.md"):
        (out / name).unlink()
    argv = ["caption", str(photographs), "--out", str(out), "--here", "--report-only"]
    assert main([*argv, "--model", "no/model"]) == 1
    assert tables(out) == tables(captioned)
    assert main(["caption", str(generated), *argv[2:], "--stage", "source"]) == 2
    assert "its captions are not of" in capsys.readouterr().err


def test_on_ray_it_is_the_same(caption: Caption, captioned: Path, tmp_path: Path) -> None:
    out = tmp_path / "ray"
    assert caption(out, "--workers", "1") == 1
    assert tables(out) == tables(captioned)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", "no/model"], "no/model: is no folder, nor in"),
        (["--template", "portrait-9"], "--template portrait-9: unknown; did you mean"),
        (["--question", "What is <image>?"], "--question: the picture is put before it"),
        (["--batch-size", "0"], "--batch-size 0: should be at least 1"),
        (["--max-new-tokens", "0"], "max_new_tokens = 0: should be greater than 0"),
        (["--stage", "photo"], "--stage photo: "),
        (["--clip-tokenizer", "."], "--clip-tokenizer "),
        (["--review", "nothing.csv"], "--review nothing.csv: is no file"),
    ],
)
def test_wrong_options_are_refused(
    caption: Caption, tmp_path: Path, capsys: Capture, words: list[str], told: str
) -> None:
    assert caption(tmp_path / "out", *words) == 2
    assert told in capsys.readouterr().err


def test_wrong_places_are_refused(
    caption: Caption, photographs: Path, planned: Callable[..., Path], tmp_path: Path,
    capsys: Capture,
) -> None:  # fmt: skip
    assert caption(photographs / "out") == 2
    assert "choose a place beside" in capsys.readouterr().err
    assert caption(tmp_path / "out", of=tmp_path / "nothing") == 2
    assert "is no folder of a dataset or of pictures" in capsys.readouterr().err
    assert caption(tmp_path / "out", of=planned()) == 2
    assert "has no pictures yet; make some with relume generate" in capsys.readouterr().err
    assert caption(tmp_path / "out", "--page", str(tmp_path / "out")) == 2
    assert "holds the captions; choose another folder" in capsys.readouterr().err


def test_a_question_of_ones_own_is_kept(caption: Caption, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert caption(out, "--question", "Who smiles?", "--part", "3/3") == 0
    settings = json.loads((out / "captions.json").read_text())["settings"]
    assert (settings["template"], settings["question"]) == ("own", "Who smiles?")
