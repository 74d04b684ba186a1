"""The gallery as a curator uses it: a real Chromium, opened from disk, with nothing but files."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from schemas.records import to_table
from schemas.selection import SELECTION_SCHEMA, Selected
from shards.encoding import read_parquet
from workflows import gallery, generate, plan

Open = Callable[..., Page]


@pytest.fixture
def opened(chromium: Browser, gallery_folder: Path) -> Iterator[Open]:
    """Opens a gallery from disk; in the end nothing may have gone wrong or left the disk."""
    contexts, wrong = [], []

    def watch(request: Any) -> None:
        if not request.url.startswith("file://"):
            wrong.append(f"asked for {request.url}")

    def lost(request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before
            wrong.append(f"cannot load {request.url}")

    def open_page(address: str = "", folder: Path = gallery_folder, **options: Any) -> Page:
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", watch)
        page.on("requestfailed", lost)
        page.goto((folder / "index.html").as_uri() + address)
        return page

    open_page.wrong = wrong  # type: ignore[attr-defined]
    yield open_page
    hacked = [page.evaluate("window.hacked ?? null") for c in contexts for page in c.pages]
    for context in contexts:
        context.close()
    assert wrong == []
    assert set(hacked) <= {None}


def names(page: Page) -> list[str]:
    expect(page.locator("#grid")).not_to_have_attribute("aria-busy", "true")
    return page.locator(".card .name").all_inner_texts()


def count(page: Page, text: str) -> None:
    expect(page.locator("#count")).to_have_text(text)


def colours(canvas: Locator) -> int:
    """How many colours a canvas shows; on a screenshot, as pictures from disk seal it."""
    picture = Image.open(io.BytesIO(canvas.screenshot()))
    return len(picture.convert("RGB").getcolors(1 << 20) or [])


def test_the_first_page(opened: Open) -> None:
    page = opened()
    count(page, "150 pairs")
    expect(page).to_have_title("named: Relume gallery")
    expect(page.locator("#subtitle")).to_have_text("150 pairs · source → target · 64 px")
    expect(page.locator("#procedural")).to_be_visible()
    expect(page.locator("#incomplete")).to_be_hidden()
    expect(page.locator(".card")).to_have_count(24)
    expect(page.locator(".pair.loading")).to_have_count(0)
    for canvas in page.locator(".card").nth(1).locator("canvas").all():
        assert colours(canvas) > 100
    # One chunk is enough for it: neither names nor codes are loaded, nor rows far away.
    loaded = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    assert not [name for name in loaded if "data/search" in name or "data/filters" in name]
    assert [name for name in loaded if "/rows/" in name and not name.endswith("000000.js")] == []


def test_failed_samples_say_why(opened: Open) -> None:
    page = opened("#status=failed")
    count(page, "11 of 150 pairs")
    assert set(page.locator(".card .failed").all_inner_texts()) == {"Failed\nsource is black"}
    page.locator(".card").first.click()
    expect(page.locator("#stage .failed")).to_contain_text("source is black")
    expect(page.locator("#cut")).to_be_hidden()


def test_odd_names_are_only_text(opened: Open, odd_names: list[str]) -> None:
    page = opened("#q=nm000000")
    count(page, "10 of 150 pairs")
    shown = page.locator(".card .name").evaluate_all("(all) => all.map((one) => one.textContent)")
    assert sorted(shown) == sorted(odd_names)
    for number, name in enumerate(odd_names):
        page.goto(re.sub("#.*", "", page.url) + f"#id=nm{number:07d}-00")
        expect(page.locator("#detail-id")).to_have_text(f"nm{number:07d}-00")
        assert page.locator("#detail-name").evaluate("(one) => one.textContent") == name
    assert page.locator("#grid script, #grid img, #detail script, #detail img, b").count() == 0
    page.goto(re.sub("#.*", "", page.url) + "#q=nm0000002")
    name = page.locator(".card .name")
    expect(name).to_have_text(odd_names[2])
    assert name.evaluate("(one) => getComputedStyle(one).direction") == "rtl"


def test_search(opened: Open, odd_names: list[str]) -> None:
    page = opened()
    box = page.get_by_label("Search by name or id")
    for query, found in {
        "lukasz angstrom": [odd_names[5]],  # neither accents nor case matter
        "STRASSE": [odd_names[5]],
        "NGUYEN anh": [odd_names[7]],
        "ليلى": [odd_names[2]],
        "<script>": [odd_names[0]],
        "😀": [odd_names[4]],
        "berg3 anna00": ["Anna003 Berg3"],  # words in any order
        "nm0000005-00": [odd_names[5]],
        "NM0000005": [odd_names[5]],
    }.items():
        box.fill(query)
        count(page, f"{len(found)} of 150 pairs")
        expect(page.locator(".card .name")).to_have_text(found)
    # What begins with the words comes before what only has them.
    box.fill("anna01")
    count(page, "10 of 150 pairs")
    assert all(name.startswith("Anna01") for name in names(page))
    page.get_by_role("button", name="Remove filter “anna01”").click()
    count(page, "150 pairs")
    expect(box).to_have_value("")


def test_nothing_found(opened: Open) -> None:
    page = opened()
    page.get_by_label("Search by name or id").fill("nobody <i>")
    count(page, "0 of 150 pairs")
    expect(page.locator("#empty")).to_contain_text("No name or id contains “nobody <i>”")
    expect(page.locator("#pages")).to_be_hidden()
    page.get_by_role("button", name="Clear search and filters").click()
    count(page, "150 pairs")
    expect(page.get_by_label("Search by name or id")).to_be_focused()


def test_filters(opened: Open, named_dataset: Path, audit_folder: Path) -> None:
    rows = read_parquet(named_dataset / "manifest.parquet").to_pandas()
    audit = read_parquet(audit_folder / "rows.parquet").to_pandas()
    faceless = audit[(audit.stage == "source") & (audit.status == "no_face")]
    page = opened()
    page.get_by_role("group", name="Split").get_by_label("test").check()
    test = int((rows.split == "test").sum())
    count(page, f"{test} of 150 pairs")
    assert "split=test" in page.url
    page.get_by_role("group", name="Split").get_by_label("validation").check()
    both = test + int((rows.split == "validation").sum())
    count(page, f"{both} of 150 pairs")
    page.get_by_role("button", name="Remove filter Split: validation").click()
    count(page, f"{test} of 150 pairs")
    page.reload()
    count(page, f"{test} of 150 pairs")
    expect(page.get_by_role("group", name="Split").get_by_label("test")).to_be_checked()
    page.go_back()
    count(page, f"{both} of 150 pairs")
    page = opened("#source-audit=no_face")
    count(page, f"{len(faceless)} of 150 pairs")
    got = page.locator("a.card").evaluate_all("(all) => all.map((one) => one.dataset.id)")
    assert got == faceless["id"].tolist()
    expect(page.locator(".card .tag.warn").first).to_have_text("source: no face")
    shard = page.get_by_label("Shard", exact=True)
    shard.focus()
    shard.select_option("train/shard-000002")
    expected = faceless[faceless.shard == "train/shard-000002"]
    count(page, f"{len(expected)} of 150 pairs")
    page.get_by_role("button", name="Remove filter Audit: no face").click()
    count(page, "16 of 150 pairs")


def choose(dataset: Path, path: Path) -> list[str]:
    """A selection of every second made sample but the last ten; returns the taken ones."""
    rows = read_parquet(dataset / "manifest.parquet").to_pandas()
    ids = rows[rows.status == "ok"]["id"].tolist()[:-10]
    table = to_table(
        (
            Selected(id=one, selected=n % 2 == 0, reason=[None, "<i>blurred</i>"][n % 2])
            for n, one in enumerate(ids)
        ),
        SELECTION_SCHEMA,
    )
    pq.write_table(table, path)
    return ids[::2]


def test_a_selection(opened: Open, named_dataset: Path, tmp_path: Path) -> None:
    taken = choose(named_dataset, tmp_path / "s.parquet")
    argv = [str(named_dataset), "--selection", str(tmp_path / "s.parquet"), "--workers", "1"]
    assert gallery.main([*argv, "--out", str(tmp_path / "all")]) == 0
    page = opened(folder=tmp_path / "all")
    chosen = page.get_by_role("group", name="Selected")
    chosen.get_by_label("taken").check()
    count(page, f"{len(taken)} of 150 pairs")
    chosen.get_by_label("taken").uncheck()
    page.get_by_role("group", name="Left out because").get_by_label("<i>blurred</i>").check()
    count(page, "64 of 150 pairs")
    expect(page.get_by_text("left out", exact=True).first).to_be_visible()
    page.locator("a.card").first.click()
    expect(page.locator("#facts")).to_contain_text("Left out because")
    expect(page.locator("#facts")).to_contain_text("<i>blurred</i>")
    page.keyboard.press("Escape")
    page.get_by_role("group", name="Left out because").get_by_label("<i>blurred</i>").uncheck()
    chosen.get_by_label("not in the file").check()
    count(page, "21 of 150 pairs")  # ten that were not judged, eleven that failed


def test_the_selected_alone(opened: Open, named_dataset: Path, tmp_path: Path) -> None:
    taken = choose(named_dataset, tmp_path / "s.parquet")
    argv = [str(named_dataset), "--selection", str(tmp_path / "s.parquet"), "--workers", "1"]
    assert gallery.main([*argv, "--selected-only", "--out", str(tmp_path / "only")]) == 0
    page = opened("#per=96", folder=tmp_path / "only")
    count(page, f"{len(taken)} pairs")
    expect(page.locator("#subtitle")).to_contain_text(f"{len(taken)} selected of 150 pairs")
    got = page.locator("a.card").evaluate_all("(all) => all.map((one) => one.dataset.id)")
    assert got == taken
    page.goto((tmp_path / "only/index.html").as_uri() + "#view=about")
    expect(page.locator("#about-view")).to_contain_text(f"the {len(taken)} that a selection takes")


def test_tables_of_a_part_are_opened_and_lead_to_a_sample(opened: Open) -> None:
    page = opened("#view=audit")
    sample = page.get_by_role("link", name="nm0000005-00")
    expect(sample).to_be_hidden()
    page.get_by_text("big, source 1 table").click()
    sample.click()
    expect(page.locator("#detail-id")).to_have_text("nm0000005-00")


def test_every_count_leads_to_as_many_rows(opened: Open) -> None:
    page = opened("#view=audit")
    links = page.locator("#audit-view .columns a").all()
    told = [(link.get_attribute("href"), link.inner_text()) for link in links]
    assert len(told) > 40
    for address, number in told:
        page.goto(re.sub("#.*", "", page.url) + str(address))
        all_of_them = "150 pairs" if number == "150" else f"{number} of 150 pairs"
        count(page, all_of_them)


def test_pages(opened: Open, named_dataset: Path) -> None:
    rows = read_parquet(named_dataset / "manifest.parquet")
    in_order = rows["name"].to_pylist()
    page = opened()
    expect(page.locator("#of-pages")).to_have_text("of 7")
    page.get_by_role("button", name="Previous page").click(force=True)  # there is none
    seen = []
    for number in range(1, 8):
        expect(page.locator("#page")).to_have_value(str(number))
        expect(page.locator("#grid")).not_to_have_attribute("aria-busy", "true")
        every = "(all) => all.map((one) => one.textContent)"
        seen += page.locator(".card .name").evaluate_all(every)
        if number < 7:
            page.get_by_role("button", name="Next page").click()
    assert seen == in_order
    expect(page.get_by_role("button", name="Last page")).to_have_attribute("aria-disabled", "true")
    page.locator("#page").fill("3")
    page.keyboard.press("Enter")
    expect(page.locator(".card .name").first).to_have_text(in_order[48])
    page.go_back()
    expect(page.locator("#page")).to_have_value("7")
    page.get_by_label("Per page").select_option("96")
    expect(page.locator("#of-pages")).to_have_text("of 2")
    expect(page.locator(".card")).to_have_count(96)


def test_the_slider_by_mouse_and_by_keyboard(opened: Open) -> None:
    page = opened("#id=nm0000005-00")
    slider = page.get_by_role("slider", name="How much shows the source")
    expect(slider).to_have_value("50")
    stage = page.locator("#stage")
    expect(stage).not_to_have_class(re.compile("loading"))

    def source_shows_until() -> float:
        width = stage.bounding_box()["width"]  # type: ignore[index]
        return float(page.locator(".stage .line").evaluate("(one) => one.offsetLeft + 1")) / width

    box = stage.bounding_box()
    assert box is not None
    half = stage.screenshot()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60)
    page.mouse.up()
    expect(slider).to_have_value("80")
    assert abs(source_shows_until() - 0.8) < 0.01
    assert stage.screenshot() != half
    page.mouse.move(box["x"] + 10, box["y"] + 60)  # no button is held
    expect(slider).to_have_value("80")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(slider).to_have_value("79")
    expect(slider).to_have_attribute("aria-valuetext", "79 % source, 21 % target")
    page.keyboard.press("Home")
    target_alone = stage.screenshot()
    page.keyboard.press("End")
    assert stage.screenshot() != target_alone
    expect(page.locator("#detail-id")).to_have_text("nm0000005-00")  # the arrows stayed in it
    page.get_by_label("Side by side").check()
    expect(slider).to_be_hidden()
    left, right = (page.locator(f".layer-{k} canvas").bounding_box() for k in (0, 1))
    assert left is not None
    assert right is not None
    assert left["x"] + left["width"] <= right["x"]
    assert left["width"] == pytest.approx(right["width"], abs=1)
    page.get_by_label("Face boxes").check()
    expect(page.locator(".face").first).to_be_visible()


def test_samples_follow_each_other(opened: Open, named_dataset: Path) -> None:
    rows = read_parquet(named_dataset / "manifest.parquet").to_pandas()
    ids = rows[rows.split == "test"]["id"].tolist()
    page = opened(f"#split=test&id={ids[1]}")
    shown = page.locator("#detail-id")
    expect(shown).to_have_text(ids[1])
    expect(page.locator("#detail-name")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(shown).to_have_text(ids[2])
    page.keyboard.press("ArrowLeft")
    expect(shown).to_have_text(ids[1])
    page.get_by_role("button", name="Previous sample").click()
    expect(shown).to_have_text(ids[0])
    back = page.get_by_role("button", name="Previous sample")
    expect(back).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("p")
    expect(shown).to_have_text(ids[0])
    page.keyboard.press("n")
    expect(shown).to_have_text(ids[1])
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")  # moves the slider
    expect(page.get_by_role("slider")).to_have_value("51")
    page.keyboard.press("n")
    expect(shown).to_have_text(ids[2])
    page.keyboard.press("p")
    expect(shown).to_have_text(ids[1])
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator(f"a.card[data-id='{ids[1]}']")).to_be_focused()
    assert "id=" not in page.url
    assert "split=test" in page.url


def test_a_link_to_a_sample(opened: Open, named_dataset: Path) -> None:
    row = read_parquet(named_dataset / "manifest.parquet").to_pylist()[-1]
    page = opened(f"#id={row['id']}")
    facts = page.locator("#facts")
    expect(facts).to_contain_text(row["prompt"])
    for told in (str(row["source_seed"]), row["target_sha256"], f"{row['target_bytes']:,} bytes"):
        expect(facts).to_contain_text(told)
    for section in ("Audit of the source", "Audit of the target", "As drawn", "Target"):
        expect(facts.get_by_role("heading", name=section, exact=True)).to_be_visible()
    expect(facts.get_by_role("table", name="Perceived ethnicity").first).to_contain_text("70.0 %")
    facts.get_by_role("link", name=row["shard"]).click()
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.get_by_label("Shard", exact=True)).to_have_value(row["shard"])
    page = opened("#id=nm9999999-00")
    expect(page.get_by_role("alert")).to_have_text("no sample of this gallery has this id")


def test_exact_copies(opened: Open, gallery_folder: Path) -> None:
    copies = sorted({path.name.split(".")[0] for path in (gallery_folder / "pictures").iterdir()})
    assert len(copies) == 20
    page = opened(f"#id={copies[0]}")
    expect(page.locator("#exactness")).to_have_text(
        re.compile("Exact: the PNGs of the dataset, 64 . 64 px")
    )
    expect(page.locator("#stage")).not_to_have_class(re.compile("loading"))
    assert colours(page.locator(".layer-1 canvas")) > 100
    ids = page.locator("a.card").evaluate_all("(all) => all.map((one) => one.dataset.id)")
    other = next(one for one in ids[1:] if one not in copies)
    page = opened(f"#id={other}")
    expect(page.locator("#exactness")).to_contain_text(f"--sample {other} --out FOLDER")


def test_the_report(opened: Open) -> None:
    page = opened()
    page.get_by_role("link", name="Tables").click()
    table = page.get_by_role("table", name="Table 1")
    expect(table).to_contain_text("<b>no face</b>")
    expect(table).to_contain_text("1,234")
    expect(page.get_by_text("Intervals of 95 %.")).to_be_visible()
    figure = page.get_by_role("img", name="Bars of perceived ages")
    expect(figure).to_be_visible()
    figure.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every((one) => one.naturalWidth > 0)")
    expect(page.get_by_role("img", name="Contact sheet")).to_be_visible()
    page.get_by_text("The report as text").click()
    expect(page.locator("pre")).to_contain_text("<script>window.hacked = 1</script>")
    table.get_by_role("link", name="rows").click()
    count(page, "4 of 150 pairs")
    page.get_by_role("link", name="About").click()
    expect(page.get_by_role("table", name="How the pictures were made")).to_contain_text("0.7")


def test_light_and_dark(opened: Open) -> None:
    def paper(page: Page) -> int:
        page.wait_for_function("document.documentElement.dataset.theme")
        found = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", found)[:3]))

    assert paper(opened(color_scheme="light")) > 600
    page = opened(color_scheme="dark")
    assert paper(page) < 150
    button = page.get_by_role("button", name="Theme: system")
    button.click()
    assert paper(page) > 600
    page.reload()
    assert paper(page) > 600  # it is remembered
    page.get_by_role("button", name="Theme: light").click()
    assert paper(page) < 150


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["", "#view=audit", "#view=about", "#id=nm0000005-00"])
def test_contrast(opened: Open, scheme: str, address: str) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 where it is large; what is disabled needs none."""
    page = opened(address, color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator("#grid")).not_to_have_attribute("aria-busy", "true")
    poor = page.evaluate(CONTRAST)
    assert poor == []


CONTRAST = """() => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) =>
    0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (one) => {
    for (let element = one; element; element = element.parentElement) {
      const colour = rgba(getComputedStyle(element).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const root = document.querySelector("dialog[open]") ?? document.body;
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const poor = [];
  while (texts.nextNode()) {
    const text = texts.currentNode;
    const one = text.parentElement;
    if (!text.data.trim() || !one.checkVisibility({ visibilityProperty: true })) continue;
    if (one.closest("[aria-disabled=true], option, noscript, .line")) continue;
    const style = getComputedStyle(one);
    const [dark, bright] = [light(rgba(style.color)), light(behind(one))].sort((x, y) => x - y);
    const ratio = (bright + 0.05) / (dark + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) poor.push([text.data, ratio]);
  }
  return poor;
}"""


@pytest.mark.parametrize(
    "address", ["", "#view=audit", "#view=about", "#id=nm0000000-00", "#id=nm0000008-00", "#q=zzz"]
)
def test_a_phone(opened: Open, address: str) -> None:
    phone = {"width": 360, "height": 740}
    page = opened(address, viewport=phone, has_touch=True, is_mobile=True)
    expect(page.locator("#grid")).not_to_have_attribute("aria-busy", "true")
    wide = page.evaluate(
        "[document.documentElement, ...document.querySelectorAll('main, dialog, .card')]"
        ".filter((one) => one.scrollWidth > Math.max(one.clientWidth, 1) && one.checkVisibility())"
        ".map((one) => [one.tagName, one.scrollWidth, one.clientWidth])"
    )
    assert wide == []
    assert page.evaluate("innerWidth") == 360
    if not address:
        assert not page.locator("#filters").evaluate("(one) => one.open")
        page.locator("#filters summary").tap()
        page.get_by_role("group", name="Status").get_by_label("failed").tap()
        count(page, "11 of 150 pairs")


@pytest.mark.parametrize("address", ["", "#view=audit", "#view=about", "#id=nm0000005-00"])
def test_for_a_screen_reader(opened: Open, address: str) -> None:
    page = opened(address)
    expect(page.locator("#grid")).not_to_have_attribute("aria-busy", "true")
    if "id=" in address:
        expect(page.locator("#facts")).to_contain_text("SHA-256")
    tree = page.locator("dialog" if "id=" in address else "body").aria_snapshot()
    controls = "button|link|textbox|searchbox|checkbox|radio|combobox|slider|spinbutton|img|dialog"
    assert re.findall(rf"^\s*- (?:{controls})(?: \[[^\]]*\])*:?$", tree, re.MULTILINE) == []
    assert page.locator("html").get_attribute("lang") == "en"
    levels = page.locator("h1, h2, h3").evaluate_all(
        "(all) => all.filter((o) => o.checkVisibility()).map((o) => Number(o.tagName[1]))"
    )
    assert levels.count(1) == 1
    ids = page.locator("[id]").evaluate_all("(all) => all.map((one) => one.id)")
    assert len(ids) == len(set(ids))
    expect(page.locator("#count")).to_have_attribute("aria-live", "polite")


def test_by_keyboard_alone(opened: Open) -> None:
    page = opened()
    expect(page.locator(".card")).to_have_count(24)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the pictures")).to_be_focused()
    met: list[str] = []
    for _ in range(12):
        page.keyboard.press("Tab")
        met.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        style = "getComputedStyle(document.activeElement)"
        assert page.evaluate(f"{style}.outlineStyle") != "none", met
        assert page.evaluate(f"parseFloat({style}.outlineWidth)") >= 2
    assert met[:5] == ["go-pairs", "go-audit", "go-about", "theme", "query"]
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#pairs")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("a.card").first).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_visible()
    for _ in range(30):  # the focus stays in the dialog, or goes to the browser's own bar
        page.keyboard.press("Tab")
        inside = (
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
        assert page.evaluate(inside)


def test_a_lost_file_is_told(opened: Open, gallery_folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(gallery_folder, tmp_path / "broken"))
    (broken / "rows" / "000001.js").unlink()
    (broken / "sheets" / "000000.webp").write_bytes(b"RIFF")
    page = opened(folder=broken)
    expect(page.locator(".broken").first).to_have_text("sheets/000000.webp cannot be read")
    page = opened("#page=4", folder=broken)
    told = page.locator("#grid [role=alert]")
    expect(told).to_contain_text("rows/000001.js cannot be read. Build the gallery anew")
    wrong = opened.wrong  # type: ignore[attr-defined]
    assert wrong
    assert all("cannot load" in one or "ERR_FILE_NOT_FOUND" in one for one in wrong)
    wrong.clear()


def test_pictures_without_names_or_pairs(opened: Open, named_config: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "alone"
    argv = [str(named_config), "--dataset", "alone", "--out", str(dataset)]
    assert plan.main(argv) == 0
    assert generate.main(["--here", str(dataset)]) == 0
    out = tmp_path / "gallery"
    assert gallery.main([str(dataset), "--out", str(out), "--workers", "1"]) == 0
    page = opened(folder=out)
    count(page, "20 pictures")
    expect(page.get_by_label("Search by id")).to_be_visible()
    page.locator(".card").first.click()
    expect(page.locator("#stage canvas")).to_have_count(1)
    expect(page.locator("#cut")).to_be_hidden()
    expect(page.locator("#modes")).to_be_hidden()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Tables").click()
    expect(page.locator("#audit-view")).to_contain_text("made without an audit")
