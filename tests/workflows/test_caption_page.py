"""The page for reviewing captions in a real browser, from disk, and back into the captions."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page, expect

from models.tiny.write import write
from schemas.caption import CAPTION_SCHEMA
from shards.encoding import parquet_bytes
from tasks.captions.file import caption_rows
from tasks.captions.review.build import page_rows
from tests.photographs import write_photographs
from workflows.cli import main

Capture = pytest.CaptureFixture[str]
SCRIPT = '<script>window.hacked = 1</script><img src=x onerror=window.hacked=1> & "so" on'


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photographs, their captions and a page; one caption refuses, one tries to be HTML."""
    work = tmp_path_factory.mktemp("review")
    write("llava", work / "llava")
    write("sd15", work / "sd15")
    write_photographs(work / "faces", 8)
    assert main(argv(work)) == 0
    # What a model might say: written where its captions are, before they are gathered.
    path = work / "out/pictures/shard-000000.parquet"
    rows = pq.read_table(path).to_pylist()
    said = {1: ("refusal", "I cannot say."), 2: ("ok", SCRIPT), 3: ("empty", "")}
    for at, (status, text) in said.items():
        rows[at] |= {"status": status, "said": text, "caption": text}
        rows[at]["reason"] = None if status == "ok" else f"it is {status}"
    data = parquet_bytes(pq.read_table(path).from_pylist(rows, schema=CAPTION_SCHEMA))
    path.write_bytes(data)
    done = path.with_name("shard-000000.done.json")
    told = json.loads(done.read_text())
    told["parquet"]["bytes"] = len(data)
    done.write_text(json.dumps(told))
    assert main([*argv(work), "--page", str(work / "page")]) == 0
    return work


def argv(work: Path) -> list[str]:
    told = ["--model", str(work / "llava"), "--clip-tokenizer", str(work / "sd15"), "--here"]
    limits = ["--max-new-tokens", "12", "--device", "cpu"]
    return ["caption", str(work / "faces"), "--out", str(work / "out"), *told, *limits]


@pytest.fixture
def opened(chromium: Browser, work: Path) -> Iterator[Callable[[], Page]]:
    """Opens the page from disk; in the end nothing may have gone wrong or left the disk."""
    contexts: list[Any] = []
    wrong: list[str] = []
    context = chromium.new_context(accept_downloads=True)
    contexts.append(context)

    def open_page() -> Page:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(request.url))
        page.on("request", lambda r: wrong.append(r.url) if r.url[:5] not in ("file:", "blob:")
                and not r.url.startswith("data:") else None)  # fmt: skip
        page.goto((work / "page/index.html").as_uri())
        return page

    yield open_page
    hacked = [page.evaluate("window.hacked ?? null") for page in context.pages]
    context.close()
    assert wrong == []
    assert set(hacked) <= {None}


def saved(page: Page, button: str, path: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    download.value.save_as(path)
    return path


def test_captions_are_shown_with_their_flags(opened: Callable[[], Page], work: Path) -> None:
    page = opened()
    expect(page).to_have_title("faces: captions")
    expect(page.locator("#place")).to_have_text("1 of 8 · 00000-00000")
    assert page.locator("#picture").evaluate("(one) => one.decode().then(() => one.naturalWidth)")
    row = pq.read_table(work / "out/rows.parquet").to_pylist()[0]
    expect(page.locator("#caption")).to_have_text(row["caption"])
    expect(page.locator("#flags")).to_contain_text(f"{row['clip_tokens']} CLIP tokens")
    page.locator("#filters button[data-filter=refusal]").click()
    expect(page.locator("#place")).to_have_text("1 of 1 · 00000-00001")
    expect(page.locator("#flags")).to_contain_text("it is refusal")
    page.locator("#filters button[data-filter=empty]").click()
    expect(page.locator("#caption")).to_have_class("empty")
    page.locator("#filters button[data-filter=all]").click()
    page.locator("#search").fill("window.hacked")
    expect(page.locator("#place")).to_have_text("1 of 1 · 00000-00002")
    assert page.locator("#caption").evaluate("(one) => one.textContent") == SCRIPT
    assert page.locator("#caption *").count() == 0
    page.locator("#search").fill("no such words")
    expect(page.locator("#none")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.locator("#progress")).to_have_text("0 of 8 decided")


def test_decisions_by_keys_come_back_into_the_captions(
    opened: Callable[[], Page], work: Path, tmp_path: Path, capsys: Capture
) -> None:
    page = opened()
    save = page.get_by_role("button", name="Save the decisions as CSV")
    expect(save).to_be_disabled()
    page.keyboard.press("a")
    expect(page.locator("#place")).to_contain_text("2 of 8")
    page.keyboard.press("e")
    page.locator("#text").fill('A man,  who "smiles".\n')
    page.keyboard.press("Control+Enter")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#place")).to_contain_text("4 of 8")
    page.locator("#reason").fill("says nothing useful")
    page.locator("#reason").press("Enter")
    expect(page.locator("#place")).to_contain_text("5 of 8")
    page.keyboard.press("r")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#decision")).to_have_text("Rejected")
    page.keyboard.press("u")
    expect(page.locator("#decision")).to_have_text("")
    page.keyboard.press("e")
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    expect(page.locator("#progress")).to_have_text("3 of 8 decided")
    # All of it is kept by the browser.
    page.reload()
    expect(page.locator("#progress")).to_have_text("3 of 8 decided")
    page.locator("#filters button[data-filter=decided]").click()
    expect(page.locator("#place")).to_contain_text("of 3")
    file = saved(page, "Save the decisions as CSV", tmp_path / "review.csv")
    with file.open(newline="") as text:
        told = {row["id"]: row for row in csv.DictReader(text)}
    assert {name: row["action"] for name, row in told.items()} == {
        "00000-00000": "accept", "00000-00001": "edit", "00000-00003": "reject"
    }  # fmt: skip
    assert told["00000-00001"]["caption"] == 'A man, who "smiles".'
    as_json = saved(page, "as JSON", tmp_path / "review.json")

    out = Path(shutil.copytree(work / "out", tmp_path / "out"))
    applied = [*argv(work), "--out", str(out), "--review", str(file), "--report-only"]
    assert main([*applied, "--sidecars", str(tmp_path / "texts")]) == 0
    assert "3 decisions applied, 3 kept in all" in capsys.readouterr().err
    rows = {row["id"]: row for row in pq.read_table(out / "rows.parquet").to_pylist()}
    assert (rows["00000-00000"]["status"], rows["00000-00000"]["review"]) == ("ok", "accept")
    edited = rows["00000-00001"]
    assert (edited["caption"], edited["status"]) == ('A man, who "smiles".', "ok")
    assert edited["clip_tokens"] > 2
    rejected = rows["00000-00003"]
    assert (rejected["status"], rejected["reason"]) == (
        "rejected",
        "rejected: says nothing useful",
    )
    texts = tmp_path / "texts/images1024x1024/00000"
    assert (texts / "00001.txt").read_text() == 'A man, who "smiles".\n'
    assert not (texts / "00003.txt").exists()
    # A later run keeps them; the page tells of them; the JSON file says the same.
    assert main([*applied[:-3], "--page", str(tmp_path / "page")]) == 0
    script = (tmp_path / "page/captions.js").read_text()
    assert '"review": "reject"' in script
    before = (out / "review.json").read_bytes()
    assert main([*argv(work), "--out", str(out), "--review", str(as_json), "--report-only"]) == 0
    assert (out / "review.json").read_bytes() == before


def test_decisions_about_other_captions_are_refused(
    opened: Callable[[], Page], work: Path, tmp_path: Path, capsys: Capture
) -> None:
    page = opened()
    page.keyboard.press("a")
    file = saved(page, "Save the decisions as CSV", tmp_path / "review.csv")
    other = tmp_path / "other"
    begun = [*argv(work), "--out", str(other), "--template", "picture-1"]
    assert main([*begun, "--review", str(file)]) == 2
    assert "line 2: is about the captions" in capsys.readouterr().err


def test_a_page_is_not_put_among_other_files(work: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main([*argv(work), "--page", str(tmp_path)]) == 2
    assert "holds other files; choose a new folder" in capsys.readouterr().err
    assert main([*argv(work), "--page", str(work / "page")]) == 0


def test_flagged_captions_come_first_onto_a_small_page(work: Path) -> None:
    rows = caption_rows(pq.read_table(work / "out/rows.parquet"))
    assert page_rows(rows, 100) == rows
    flagged = [row for row in rows if row.status != "ok" or row.clip_cut]
    assert page_rows(rows, len(flagged)) == flagged
    assert len(page_rows(rows, 2)) == 2
    assert len(page_rows(rows, len(flagged) + 1)) == len(flagged) + 1
