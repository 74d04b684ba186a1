"""`relume rate` as raters and their host see it: in a real browser, from disk, to the outcome."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from schemas.study import SPOILT, Study
from shards.record_file import read_record
from tasks.rating.study import spoilt
from workflows.cli import main

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]
Rate = Callable[..., Path]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, named_dataset: Path) -> Path:
    out = tmp_path_factory.mktemp("rate") / "study"
    told = [f"{stage}={named_dataset}:{stage}" for stage in ("source", "target")]
    counts = ["--count", "12", "--catch", "3", "--repeat", "2", "--split", "train"]
    assert main(["rate", *told, "--out", str(out), *counts]) == 0
    return out


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Callable[[Path], Page]]:
    """Opens a page from disk; in the end nothing may have gone wrong or left the disk."""
    contexts, wrong = [], []

    def open_page(study: Path) -> Page:
        context = chromium.new_context(accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda r: wrong.append(r.url) if r.url[:5] not in ("file:", "blob:")
                and not r.url.startswith("data:") else None)  # fmt: skip
        page.goto((study / "page/index.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def begin(page: Page, rater: str) -> None:
    page.get_by_label("Your name").fill(rater)
    page.keyboard.press("Enter")


def answer(page: Page, study: Study, wanted: str | None) -> None:
    """Choose the wanted row where it is shown, and never a spoilt picture; None: always do."""
    codes = page.locator("#pictures button").evaluate_all("(all) => all.map((b) => b.dataset.code)")
    rows = {code: row for trial in study.trials for code, row in trial.pictures.items()}
    best = max(codes, key=lambda code: (rows[code] != SPOILT, rows[code] == wanted))
    if wanted is None:
        best = next((code for code in codes if rows[code] == SPOILT), best)
    before = page.locator("#place").inner_text()
    loaded(page)
    page.keyboard.press(["1", "2", "3"][codes.index(best)])
    expect(page.locator("#place")).not_to_have_text(before)


def loaded(page: Page) -> None:
    """Answers count once all pictures are seen."""
    page.wait_for_function("() => begun > 0")


def rate_all(page: Page, study: Study, wanted: str | None) -> None:
    for _ in range(len(study.trials) + len(study.repeats) - 1):
        answer(page, study, wanted)
    loaded(page)
    codes = page.locator("#pictures button").evaluate_all("(all) => all.map((b) => b.dataset.code)")
    rows = {code: row for trial in study.trials for code, row in trial.pictures.items()}
    best = max(codes, key=lambda code: (rows[code] != SPOILT, rows[code] == wanted))
    page.locator(f"button[data-code='{best}']").click()
    expect(page.locator("#end")).to_be_visible()


def saved(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the answers").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_study_from_the_page_to_the_outcome(
    study: Path, opened: Callable[[Path], Page], tmp_path: Path, capsys: Capture
) -> None:
    told = read_record(study / "study.json", Study)
    files = []
    for rater, wanted in (("Ann, Ms", "target"), ("Bo", "target"), ("Cy", "source")):
        page = opened(study)
        begin(page, rater)
        rate_all(page, told, wanted)
        files.append(str(saved(page, tmp_path)))
    careless = opened(study)
    begin(careless, "Dee")
    rate_all(careless, told, None)
    files.append(str(saved(careless, tmp_path)))
    assert Path(files[0]).name == f"ratings-{told.key()}-Ann-Ms.csv"
    numbers = tmp_path / "numbers.csv"
    samples = {trial.sample for trial in told.trials}
    lines = [f"{row},{one},{n},{-n}" for one in samples for n, row in enumerate(told.rows)]
    numbers.write_text("\n".join(["row,sample,sharp,lpips", *lines, ""]))
    capsys.readouterr()
    # The same file twice is one rater's.
    argv = ["rate", "--analyse", str(study), *files, files[0], "--metrics", str(numbers)]
    assert main([*argv, "--lower-is-better", "lpips", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    by_rater = {one["rater"]: one for one in found["raters"]}
    assert by_rater["Ann, Ms"]["num_answers"] == 17
    assert (by_rater["Ann, Ms"]["catch_right"], by_rater["Ann, Ms"]["repeats_alike"]) == (1, 1)
    assert by_rater["Dee"]["catch_right"] <= 1 / 3
    assert not by_rater["Dee"]["kept"]
    assert found["judgements"] == 36
    assert found["wins"] == {"source": {"target": 12}, "target": {"source": 24}}
    assert found["rows"]["target"]["share"] == pytest.approx(24.5 / 37)
    assert found["agreement"]["share"] == pytest.approx(1 / 3)
    assert found["metrics"]["sharp"]["share"] == pytest.approx(2 / 3)
    assert found["metrics"]["lpips"]["share"] == pytest.approx(2 / 3)
    assert (study / "outcome/figures/metrics.svg").exists()
    assert main(argv) == 0
    said = capsys.readouterr()
    assert "another person" in said.out
    assert "1 of 4 are not counted" in said.out + said.err
    assert "Ann, Ms" in (study / "outcome/report.md").read_text()


def test_undo_stop_and_go_on(study: Path, opened: Callable[[Path], Page]) -> None:
    told = read_record(study / "study.json", Study)
    page = opened(study)
    expect(page.locator("#num-trials")).to_have_text("17 pairs of pictures")
    begin(page, "  Eve  ")
    first = page.locator("#pictures img").first.get_attribute("src")
    expect(page.get_by_role("button", name="Take the last")).to_be_disabled()
    answer(page, told, "target")
    answer(page, told, "target")
    third = page.locator("#pictures img").first.get_attribute("src")
    page.reload()
    begin(page, "Eve")
    expect(page.locator("#place")).to_have_text("3 of 17")
    assert page.locator("#pictures img").first.get_attribute("src") == third
    page.keyboard.press("Backspace")
    page.get_by_role("button", name="Take the last").click()
    expect(page.locator("#place")).to_have_text("1 of 17")
    assert page.locator("#pictures img").first.get_attribute("src") == first
    loaded(page)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#place")).to_have_text("2 of 17")
    page.reload()
    begin(page, "Flo")
    expect(page.locator("#place")).to_have_text("1 of 17")


def test_what_a_rater_gets_tells_nothing(study: Path, named_dataset: Path) -> None:
    told = read_record(study / "study.json", Study)
    page = study / "page"
    text = "".join(path.read_text() for path in page.glob("*.*"))
    assert not re.search(
        r"source\b(?!s)|target|nm\d{7}|spoilt|catch\b(?! \{)", text.replace("event.target", "")
    )
    pictures = sorted(path.stem for path in (page / "pictures").iterdir())
    assert pictures == sorted(code for trial in told.trials for code in trial.pictures)
    sizes = set()
    for path in (page / "pictures").iterdir():
        with Image.open(path) as picture:
            assert not picture.info
            sizes.add(picture.size)
    assert len(sizes) == 1
    kinds = [trial.kind for trial in told.trials]
    assert (kinds.count("choice"), kinds.count("catch")) == (12, 3)
    assert len({trial.sample for trial in told.trials}) == 15


def test_three_at_once_are_put_in_order(
    named_dataset: Path, tmp_path: Path, opened: Callable[[Path], Page], capsys: Capture
) -> None:
    folder = tmp_path / "worse"
    folder.mkdir()
    for number in range(40):
        pixels = np.full((64, 64, 3), number, np.uint8)
        Image.fromarray(pixels).save(folder / f"nm{number:07d}-00.png")
    told = [f"{stage}={named_dataset}:{stage}" for stage in ("source", "target")]
    out = tmp_path / "study"
    argv = ["rate", *told, f"flat={folder}", "--out", str(out), "--together", "3"]
    assert main([*argv, "--count", "2", "--catch", "0", "--repeat", "0", "--split", "train"]) == 0
    study = read_record(out / "study.json", Study)
    page = opened(out)
    begin(page, "Gus")
    for number in range(2):
        loaded(page)
        rows = study.trials
        codes = {row: code for trial in rows for code, row in trial.pictures.items()
                 if page.locator(f"button[data-code='{code}']").count()}  # fmt: skip
        page.locator(f"button[data-code='{codes['target']}']").click()
        expect(page.locator("#place")).to_contain_text("and of these two?")
        page.locator(f"button[data-code='{codes['source']}']").click()
        if number == 0:
            expect(page.locator("#place")).to_have_text("2 of 2")
    path = saved(page, tmp_path)
    capsys.readouterr()
    assert main(["rate", "--analyse", str(out), str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["wins"] == {
        "source": {"target": 0, "flat": 2},
        "target": {"source": 2, "flat": 2},
        "flat": {"source": 0, "target": 0},
    }
    assert found["agreement"] is None


def test_studies_that_cannot_be_made(
    named_dataset: Path, study: Path, tmp_path: Path, capsys: Capture
) -> None:
    ours, out = f"a={named_dataset}:source", str(tmp_path / "s")
    small = tmp_path / "small"
    small.mkdir()
    for path in (study / "page/pictures").iterdir():
        Image.open(path).resize((8, 8)).save(small / path.name)
    (tmp_path / "broken").mkdir()
    for trial in read_record(study / "study.json", Study).trials:
        Image.new("RGB", (32, 32)).save(small / f"{trial.sample}.png")
        (tmp_path / f"broken/{trial.sample}.png").write_bytes(b"no picture")
    (tmp_path / "empty").mkdir()
    few = ["--count", "2", "--catch", "0", "--repeat", "0", "--split", "train"]
    for argv, told in [
        ([ours, "--out", out], "2 are shown together"),
        ([ours, "b", "--out", out], "b: should be NAME=DATASET:STAGE"),
        ([ours, ours, "--out", out], "a row 'a' is there already"),
        ([ours, f"b={named_dataset}", "--out", out], "is a dataset; say which pictures"),
        ([ours, f"b={named_dataset}:teacher", "--out", out], "has source and target"),
        ([ours, f"b={tmp_path}/empty", "--out", out], "has no picture"),
        ([ours, f"b={tmp_path}/none", "--out", out], "is no folder of pictures"),
        ([ours, f"b={named_dataset}:target", "--out", out, "--split", "all"], "--split all"),
        ([ours, f"b={named_dataset}:target", "--out", out, "--count", "999"], "there are"),
        ([ours, f"b={named_dataset}:target", "--out", out, "--together", "4"], "should be 2 or 3"),
        ([ours, f"b={named_dataset}:target", "--out", str(study), *few], "is there already"),
        ([ours, f"b={named_dataset}:target", "--out", f"{tmp_path}/small", *few], "is there al"),
        ([ours, f"b={study}/page/pictures", "--out", out], "no sample has a picture in all"),
        ([ours, f"b={small}", "--out", out, *few], "its pictures differ in size"),
        ([ours, f"b={tmp_path}/broken", "--out", out, *few], "is no picture that can be read"),
        ([ours], "give one"),
        (["--analyse", str(study)], "name the CSV files"),
        (["--analyse", str(tmp_path), "x.csv"], "has no study.json"),
    ]:
        assert main(["rate", *argv]) == 2, argv
        assert told in capsys.readouterr().err
        assert not Path(out).exists()


def test_the_same_command_again_goes_on_after_a_kill(
    named_dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "study"
    told = [f"{stage}={named_dataset}:{stage}" for stage in ("source", "target")]
    counts = ["--count", "4", "--catch", "1", "--repeat", "1", "--split", "train"]
    argv = [sys.executable, "-m", "workflows.rate", *told, "--out", str(out), *counts]
    # Ends by SIGKILL when the first pictures are written.
    kill = (
        "import os, signal, sys; from tasks.rating.page import build; "
        "build._write_pictures = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        "from workflows.rate import main; main(sys.argv[1:])"
    )
    killed = subprocess.run([sys.executable, "-c", kill, *argv[3:]], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    assert main(["rate", *argv[3:]]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["study"]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    capsys.readouterr()
    assert main(["rate", *argv[3:]]) == 0
    assert "it was there already" in "".join(capsys.readouterr())
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}


def test_ratings_that_are_not_taken(study: Path, tmp_path: Path, capsys: Capture) -> None:
    told = read_record(study / "study.json", Study)
    trial = next(one for one in told.trials if one.kind == "choice")
    codes = " ".join(trial.pictures)
    head = "study,rater,place,trial,repeat,shown,order,seconds,at"
    good = [told.key(), "Ann", "1", trial.id, "0", codes, codes, "2.5", "now"]

    def changed(place: int, value: str) -> str:
        return ",".join([*good[:place], value, *good[place + 1 :]])

    other = ",".join([*good[:6], " ".join(reversed(codes.split())), *good[7:]])
    path = tmp_path / "r.csv"
    for lines, said in [
        (["a,b"], "is no file of ratings"),
        ([head, changed(0, "abc")], "study 'abc' is another one"),
        ([head, changed(3, "abc")], "trial 'abc' is not in the study"),
        ([head, changed(6, codes.split()[0])], "should both name the pictures"),
        ([head, changed(7, "soon")], "should be numbers"),
        ([head, changed(7, "inf")], "seconds from 0"),
        ([head, changed(1, "")], "should have a rater"),
        ([head, "a,b"], "has not 9 fields"),
        ([head, ",".join(good), other], "two people may have taken one name"),
        ([head], "gather more"),
    ]:
        path.write_text("\n".join([*lines, ""]))
        assert main(["rate", "--analyse", str(study), str(path)]) == 2, lines
        assert said in capsys.readouterr().err
    path.write_bytes(b"\xff\xfe\x00")
    assert main(["rate", "--analyse", str(study), str(path)]) == 2
    path.write_text("\n".join([head, ",".join(good), ""]))
    numbers = tmp_path / "n.csv"
    for lines, options, said in [
        (["row,sample"], (), "one for each number"),
        (["row,sample,x", "nobody,s,1"], (), "the study has source, target"),
        (["row,sample,x", "source,s,1", "source,s,1"], (), "is there twice"),
        (["row,sample,x", "source,s,one"], (), "should be a number"),
        (["row,sample,x", "source,s,1"], ("--lower-is-better", "y"), "--lower-is-better y"),
    ]:
        numbers.write_text("\n".join([*lines, ""]))
        argv = ["rate", "--analyse", str(study), str(path), "--metrics", str(numbers), *options]
        assert main(argv) == 2, lines
        assert said in capsys.readouterr().err
    assert main(["rate", "--analyse", str(study), str(path), "--min-catch", "2"]) == 2
    with path.open(newline="") as file:
        assert next(csv.reader(file))[0] == "study"


def test_a_spoilt_picture_is_in_coarse_blocks() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8))
    blocks = np.asarray(spoilt(picture))
    assert blocks.shape == (96, 96, 3)
    assert (blocks[:8, :8] == blocks[0, 0]).all()
    assert len(np.unique(blocks.reshape(-1, 3), axis=0)) <= 144
