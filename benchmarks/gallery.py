"""How long a gallery of 140,000 pairs takes to build, and how soon its first page can be used.

    python -m benchmarks.gallery

Pairs are 64 px procedural portraits of invented names, made by the real `relume generate`. A page
can be used once its first 24 pairs are drawn, timed in a new Chromium context each, from opening to
the last picture; so are a filter, a search and a link to the last sample. A folder for the data may
be given, to keep it for the next time; otherwise it is removed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.invented_people import first_names, last_names
from benchmarks.timing import say_machine
from schemas.name import NAME_SCHEMA, Name
from schemas.records import to_table
from tasks.gallery.folder import folder_facts
from workflows.cli import main as relume

BUILD_S, FIRST_PAGE_S = 300.0, 1.0
CHROMIUM = "/usr/bin/chromium"
_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
_QUIET += ["--disable-background-networking", "--disable-component-update"]
# Twenty-four cards, the failed ones among them without a picture, and none still waiting for its.
_DRAWN = """() => document.querySelectorAll(".card").length > 0
    && !document.querySelector("#grid[aria-busy]")
    && !document.querySelector(".pair.loading")"""


def dataset(folder: Path, count: int) -> Path:
    """The dataset of so many pairs in a folder, made if it is not there yet."""
    data = folder / f"pairs-{count}"
    names = folder / f"names-{count}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    if not names.exists():
        rng = random.Random(0)
        first, last = first_names(0).to_pylist(), last_names(0).to_pylist()
        drawn: dict[str, None] = {}
        while len(drawn) < count:
            drawn[f"{rng.choice(first)} {rng.choice(last)}"] = None
        people = (
            Name(nconst=f"nm{n:07d}", name=name, birth_year=None, professions=["actor"])
            for n, name in enumerate(drawn)
        )
        pq.write_table(to_table(people, NAME_SCHEMA), names)
    size = ["--dataset.count", str(count), "--dataset.size-px", "64", "--dataset.shard-size", "64"]
    preset = ["configs/demo.toml", "--dataset", "enhanced", "--names", str(names)]
    assert relume(["plan", *preset, "--out", str(data), *size]) == 0
    assert relume(["generate", str(data)]) == 0
    return data


def build(data: Path, gallery: Path, runs: int) -> list[float]:
    """Seconds of each build of the gallery from nothing."""
    seconds = []
    for _ in range(runs):
        shutil.rmtree(gallery, ignore_errors=True)
        begun = time.perf_counter()
        assert relume(["gallery", str(data), "--out", str(gallery), "--workers", "2"]) == 0
        seconds.append(time.perf_counter() - begun)
    return seconds


def page_times(gallery: Path, count: int, runs: int) -> dict[str, float]:
    """Median seconds of what a curator waits for, each from a page that was just opened."""
    address = (gallery / "index.html").resolve().as_uri()

    def search(page: Page) -> None:
        page.fill("#query", "tra")

    def choose(page: Page) -> None:
        page.get_by_role("group", name="Split").get_by_label("test").check()

    def link(page: Page) -> None:
        page.goto(f"{address}#id=nm{count - 1:07d}-00")

    changed = "() => / of /.test(document.querySelector('#count').textContent)"
    shown = "() => document.querySelector('#facts')?.childElementCount > 0"
    steps: dict[str, tuple[Callable[[Page], None], str]] = {
        "first search, all names loaded": (search, changed),
        "first filter": (choose, changed),
        "link to a sample": (link, shown),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)
        found = {"first page": _median(browser, address, runs, None, "")}
        for name, (act, until) in steps.items():
            found[name] = _median(browser, address, runs, act, until)
        browser.close()
    return found


def _median(
    browser: Browser, address: str, runs: int, act: Callable[[Page], None] | None, until: str
) -> float:
    seconds = []
    for _ in range(runs + 1):
        context = browser.new_context(viewport={"width": 1360, "height": 900})
        page = context.new_page()
        begun = time.perf_counter()
        page.goto(address)
        page.wait_for_function(_DRAWN)
        if act is not None:
            begun = time.perf_counter()
            act(page)
            page.wait_for_function(until)
            page.wait_for_function(_DRAWN)
        seconds.append(time.perf_counter() - begun)
        context.close()
    return statistics.median(seconds[1:])  # the first one warms the caches


def main() -> int:
    """Print times and sizes beside their targets; 1 if one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=140_000)
    parser.add_argument("--builds", type=int, default=1)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="keep the dataset here")
    arguments = parser.parse_args()
    say_machine()
    print(f"of these cores {len(os.sched_getaffinity(0))} may be used; the build uses 2 processes")
    with tempfile.TemporaryDirectory() as name:
        data = dataset(arguments.folder or Path(name), arguments.pairs)
        gallery = Path(name) / "gallery"
        seconds = statistics.median(build(data, gallery, arguments.builds))
        num_bytes, num_files = folder_facts(gallery)
        reached = _judge(f"{arguments.pairs:,} pairs built", seconds, BUILD_S)
        print(f"{arguments.pairs / seconds:,.0f} pairs/s, {num_bytes / 1e6:,.0f} MB, ", end="")
        print(f"{num_files:,} files")
        times = page_times(gallery, arguments.pairs, arguments.runs)
        reached &= _judge("first page", times.pop("first page"), FIRST_PAGE_S)
        for what, median in times.items():
            print(f"{what}: {median:.2f} s")
    return 0 if reached else 1


def _judge(what: str, seconds: float, most: float) -> bool:
    reached = seconds <= most
    print(f"{what}: {seconds:.2f} s (at most {most:g} s) {'ok' if reached else 'MISSED'}")
    return reached


if __name__ == "__main__":
    sys.exit(main())
