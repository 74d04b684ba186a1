"""`relume plan --pictures` and `relume generate` on photographs, through kills and mistakes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, expect

from shards.run import read_planned
from tests.photographs import PRESET, write_photographs
from workflows.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return write_photographs(tmp_path / "ffhq")


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "photos.toml"
    path.write_text(PRESET)
    return path


@pytest.fixture
def planning(preset: Path, photographs: Path) -> Callable[..., int]:
    def run(out: Path, *more: str, folder: Path = photographs) -> int:
        told = ["--dataset", "photos", "--pictures", str(folder), "--out", str(out)]
        return main(["plan", str(preset), *told, *more])

    return run


def test_the_papers_preset_is_52000_at_512_px(tmp_path: Path) -> None:
    from schemas.config import dataset_config, read_preset

    config = dataset_config(read_preset(Path("configs/ffhq.toml")), "photos", "ffhq.toml")
    assert (config.dataset.count, config.dataset.size_px) == (52_000, 512)
    assert config.dataset.stages == ("photo",)


def test_photographs_become_a_dataset(
    planning: Callable[..., int], tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "dataset"
    assert planning(out, "--checksums") == 0
    assert "no GPU needed: these pictures are read from a folder" in capsys.readouterr().err
    assert main(["generate", str(out), "--here"]) == 0
    assert main(["inspect", str(out), "--verify"]) == 0
    told = capsys.readouterr().out
    assert "verified: every file, picture and row is as it says" in told
    table = pq.read_table(out / "manifest.parquet")
    assert sorted(table["id"].to_pylist()) == [f"{n // 4 * 1000:05d}-{n:05d}" for n in range(8)]
    assert set(table["prompt"].to_pylist()) == {""}
    card = (out / "README.md").read_text()
    assert "These pictures are **photographs**" in card
    assert "synthetic" not in card
    assert "Nobody was photographed" not in card
    paths = pq.read_table(out / "photos.parquet").to_pylist()
    assert all(len(one["sha256"]) == 64 and one["path"].startswith("images") for one in paths)
    # The same again is news to nobody; the folder's other layout gives the same samples.
    assert planning(out, "--checksums") == 0
    assert "planned just so before" in capsys.readouterr().out


def test_the_same_picture_is_the_same_sample_in_both_layouts(
    planning: Callable[..., int], tmp_path: Path, photographs: Path
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert planning(one, "--dataset.count", "5", "--split.test", "1") == 0
    inside = photographs / "images1024x1024"
    assert planning(other, "--dataset.count", "5", "--split.test", "1", folder=inside) == 0
    assert (one / "plan.parquet").read_bytes() == (other / "plan.parquet").read_bytes()
    assert {"train", "test"} == set(read_planned(one)[1]["split"].to_pylist())


def test_killed_and_resumed_gives_the_same_bytes(
    planning: Callable[..., int], tmp_path: Path, files: Callable[..., dict[str, bytes]]
) -> None:
    killed, clean = tmp_path / "killed", tmp_path / "clean"
    for out in (killed, clean):
        assert planning(out) == 0
    command = [sys.executable, "-m", "workflows.generate", str(killed), "--here"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as run:
        while not list(killed.glob("train/*.done.json")) and run.poll() is None:
            time.sleep(0.002)
        os.kill(run.pid, signal.SIGKILL)
    assert main(["generate", str(killed), "--here"]) == 0
    assert main(["generate", str(clean), "--here", "--part", "2/2"]) == 0
    assert main(["generate", str(clean), "--here"]) == 0
    assert files(killed) == files(clean)


def test_a_folder_that_moved_is_named(
    planning: Callable[..., int], tmp_path: Path, photographs: Path, capsys: Capture
) -> None:
    out = tmp_path / "dataset"
    assert planning(out) == 0
    moved = photographs.rename(tmp_path / "moved")
    assert main(["generate", str(out), "--here"]) == 2
    assert "ffhq: is no folder; name with --pictures where" in capsys.readouterr().err
    assert main(["generate", str(out), "--here", "--pictures", str(moved)]) == 0


def test_a_picture_that_is_gone_keeps_its_shard_back_until_it_is_there_again(
    planning: Callable[..., int], tmp_path: Path, photographs: Path, capsys: Capture
) -> None:
    out = tmp_path / "dataset"
    assert planning(out) == 0
    lost = photographs / "images1024x1024/01000/00005.png"
    kept = lost.read_bytes()
    lost.unlink()
    assert main(["generate", str(out), "--here"]) == 1
    assert "00005.png: is gone since it was planned" in capsys.readouterr().err
    assert len(list(out.glob("train/*.done.json"))) == 2
    lost.write_bytes(kept)
    assert main(["generate", str(out), "--here", "--retry-failed"]) == 0
    assert main(["inspect", str(out), "--verify"]) == 0


def test_another_folder_is_another_plan(
    planning: Callable[..., int], tmp_path: Path, photographs: Path, capsys: Capture
) -> None:
    out = tmp_path / "dataset"
    assert planning(out) == 0
    first = photographs / "images1024x1024/00000/00000.png"
    first.write_bytes(first.read_bytes() + b" ")
    assert planning(out) == 2
    assert "belongs to another plan" in capsys.readouterr().err
    (out / "photos.parquet").unlink()
    assert main(["generate", str(out), "--here"]) == 2
    assert "has no photos.parquet; the same relume plan" in capsys.readouterr().err
    first.write_bytes(first.read_bytes()[:-1])
    assert planning(out) == 0
    assert main(["generate", str(out), "--here"]) == 0


def test_a_pilot_reads_the_same_photographs(planning: Callable[..., int], tmp_path: Path) -> None:
    out, pilot = tmp_path / "dataset", tmp_path / "pilot"
    assert planning(out) == 0
    assert main(["generate", str(out), "--here", "--limit", "2", "--out", str(pilot)]) == 0
    assert pq.read_table(pilot / "manifest.parquet").num_rows == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--dataset.stages", "source", "--dataset.prompt", "p"],
            "a folder gives photographs; set stages",
        ),
        (["--dataset.stages", "photo", "source"], "photographs are a dataset of their own"),
        (["--dataset.prompt", "of {name}"], "a photograph is of nobody that a plan names"),
        (["--dataset.count", "9"], "dataset.count = 9: the folder has 8 pictures"),
        (["--generator.resampling", "lancos"], "generator.resampling"),
    ],
)
def test_wrong_settings_are_refused(
    planning: Callable[..., int], tmp_path: Path, capsys: Capture, words: list[str], told: str
) -> None:
    assert planning(tmp_path / "dataset", *words) == 2
    assert told in capsys.readouterr().err


def test_folders_are_for_photographs_alone(
    preset: Path, small_config: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = ["--out", str(tmp_path / "dataset")]
    assert main(["plan", str(preset), "--dataset", "photos", *out]) == 2
    assert "is of photographs; name their folder with --pictures" in capsys.readouterr().err
    assert main(["plan", str(small_config), "--dataset", "small", "--pictures", ".", *out]) == 2
    assert "--pictures .: dataset.small generates its pictures" in capsys.readouterr().err
    assert main(["plan", str(small_config), "--dataset", "small", *out]) == 0
    assert main(["generate", out[1], "--here", "--pictures", "."]) == 2
    assert "--pictures .: " in capsys.readouterr().err
    photos = str(preset).replace(".toml", "-2.toml")
    text = PRESET.replace('"folder"', '"procedural"')
    Path(photos).write_text(text)
    assert main(["plan", photos, "--dataset", "photos", *out]) == 2
    assert "a photo is read from a folder; set generator.kind = 'folder'" in capsys.readouterr().err


def test_a_gallery_of_photographs_does_not_call_them_synthetic(
    planning: Callable[..., int], tmp_path: Path, chromium: Browser
) -> None:
    out, pages = tmp_path / "dataset", tmp_path / "gallery"
    assert planning(out) == 0
    assert main(["generate", str(out), "--here"]) == 0
    assert main(["gallery", str(out), "--out", str(pages)]) == 0
    page = chromium.new_page()
    page.goto((pages / "index.html").as_uri() + "#view=about")
    expect(page.get_by_text("The pictures are photographs, read from a folder")).to_be_visible()
    assert page.get_by_text("synthetic").count() == 0
    page.close()


def test_other_verbs_know_photographs(preset: Path, capsys: Capture) -> None:
    assert main(["fetch", str(preset)]) == 0
    assert "photographs are read from a folder" in capsys.readouterr().out
