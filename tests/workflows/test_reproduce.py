"""`relume reproduce`: every step a command, once; killed and continued; its page in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from models.generators.procedural.painter import PAINTER_REVISION
from schemas.config import read_preset
from schemas.evaluate import read_evaluate
from schemas.reproduce import read_reproduce
from tasks.paper_page.markup import Figure, Section, page
from tasks.reproduce_steps import command, steps
from tasks.text_tables import Table
from tests.presets import PROCEDURAL
from workflows import reproduce
from workflows.cli import main
from workflows.console import Console

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]
# Everything of the demo, as little of it as goes.
PRESET = f"""
[split]
train = 2
validation = 1
test = 3

{PROCEDURAL}
[stage.teacher]
model = "procedural"
revision = "{PAINTER_REVISION}"

[dataset.baseline]
prompt = "A portrait"
count = 16
stages = ["source"]
size_px = 64
shard_size = 8

[dataset.enhanced]
prompt = "A portrait of {{name}}"
count = 120
stages = ["source", "target"]
size_px = 64
shard_size = 16

[train.network]
kind = "resnet"
width = 4
halvings = 0
num_blocks = 1
norm = "group"
residual_output = true

[train.objective]
kind = "cyclegan"

[train.objective.discriminator]
width = 8
num_layers = 1
norm = "none"

[[train.phase]]
epochs = 1
crop_px = 32
batch_size = 8

[train.data]
loader_workers = 0

[train.validation]
count = 8

[evaluate]
data = "enhanced"
draws = 16
tuning_pictures = 8

[[evaluate.network]]
kind = "texture"

[[evaluate.row]]
kind = "head"
name = "Small <head>"
head = "heads/small/head"

[benchmark]
sizes_px = [64]
batches = [1]
warm_ups = 0
repeats = 5
search_repeats = 1

[reproduce]
invented_people = 3000
names = 120
pictures = 2

[[reproduce.head]]
name = "small"
title = "Small <head>"

[reproduce.options]
generate-baseline = ["--here"]
generate-enhanced = ["--here"]
audit = ["--here"]
gallery = ["--exact", "0", "--workers", "1"]
evaluate = ["--here"]
study = ["--count", "4", "--catch", "1", "--repeat", "1"]
"""


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reproduce") / "small.toml"
    path.write_text(PRESET)
    return path


@pytest.fixture(scope="module")
def done(preset: Path) -> Path:
    """All of it, by a process that is killed twice on the way."""
    out = preset.parent / "out"
    argv = [sys.executable, "-m", "workflows.reproduce", str(preset), "--out", str(out)]
    for step in ("names", "train-small"):
        verb = step.partition("-")[0]
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            for line in run.stdout:
                if re.search(rf"\$ relume {verb} ", line):
                    break
            os.kill(run.pid, signal.SIGKILL)
        _until_nobody_works_in(out)
        mark = out / f"steps/{step}.json"
        assert not mark.exists() or "took_s" not in json.loads(mark.read_text())
    whole = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    assert "1 of 12, people: done" in whole.stderr
    return out


def _until_nobody_works_in(out: Path) -> None:
    """The step that was running is told to end when its parent dies, and ends."""
    limit = time.monotonic() + 120
    while any(str(out).encode() in words for words in _commands()):
        assert time.monotonic() < limit, "a step outlived the process that it was a step of"
        time.sleep(0.05)


def _commands() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return [one for one in found if b"workflows." in one and b"pytest" not in one]


def test_everything_is_there_and_done_once(done: Path, preset: Path, capsys: Capture) -> None:
    marks = {path.stem: json.loads(path.read_text()) for path in (done / "steps").glob("*.json")}
    assert list(marks["audit"]) == ["key", "command", "took_s"]
    assert len(marks) == 12
    assert {path.name for path in done.iterdir()} >= {
        *("names.parquet", "baseline", "enhanced", "audit", "gallery", "heads"),
        *("evaluation", "costs", "study", "report"),
    }
    before = {path: path.stat().st_mtime_ns for path in done.glob("*/*.json")}
    assert main(["reproduce", str(preset), "--out", str(done)]) == 0
    said = capsys.readouterr()
    assert said.err.count(": done") == 12
    assert "$ relume" not in said.out
    kept = {path: when for path, when in before.items() if path.stat().st_mtime_ns == when}
    assert kept == before
    assert main(["reproduce", str(preset), "--out", str(done), "--steps"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 12
    assert all(re.search(r"  (relume|python -m) ", line) for line in listed)
    assert listed[-1].endswith("--count 4 --catch 1 --repeat 1")
    assert not any("to do" in line for line in listed)
    # Each stage has told its own time, so nobody has to say what the head has cost.
    spent = json.loads((done / "costs/report.json").read_text())["spent"]
    assert spent["data_gpu_hours"] > 0
    assert spent["training_gpu_hours"] > 0
    # A kill between a step's end and the note of it: the step finds all of it there.
    for step in ("names", "plan-enhanced", "train-small", "study"):
        (done / f"steps/{step}.json").unlink()
    again = [sys.executable, "-m", "workflows.reproduce", str(preset), "--out", str(done)]
    run = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert (done / "steps/study.json").is_file()


def test_the_report_has_every_table_and_figure(done: Path, chromium: Browser) -> None:
    wrong: list[str] = []
    context = chromium.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    view = context.new_page()
    view.on("console", lambda message: wrong.append(message.text))
    view.on("pageerror", lambda error: wrong.append(str(error)))
    view.on("requestfailed", lambda request: wrong.append(request.url))
    view.goto((done / "report/index.html").as_uri())
    titles = view.locator("h2").all_inner_texts()
    for wanted in ("Figures 1 and 7", "Figures 2 and 3", "Table 1", "Figure 4", "Tables 2 and 3"):
        assert any(title.startswith(wanted) for title in titles)
    assert any(title.startswith("Figure 8") for title in titles)
    assert any(title.startswith("Table 4") for title in titles)
    # The paper's numbers stand in tables of their own.
    assert view.locator(".paper caption").count() >= 4
    assert "Procedural" in view.locator(".banner").inner_text()
    lead = view.locator("header").inner_text()
    assert "64 test pictures are too few to tell the gap" in lead
    assert "how much of it Small <head> closes" in lead
    # No sweep was asked for, and the page says how to get one.
    assert "relume sweep" in view.locator("#tables-2-3 .missing").inner_text()
    # Without scrolling: who prints or saves the page sees all of them.
    for image in view.locator("figure img").all():
        assert image.get_attribute("loading") is None
        assert image.evaluate("(one) => one.decode().then(() => one.naturalWidth > 100)")
    assert view.locator("figure img").count() >= 6
    assert view.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
    assert wrong == []


def test_tables_are_whole_on_a_desk(tmp_path: Path, chromium: Browser) -> None:
    """As wide as audits and evaluations make them; narrower screens scroll them, not the page."""
    corrected = Table(
        title="Table 1, corrected",
        head=(
            *("pictures", "perceived", "group", "corrected share", "95 % interval"),
            *("range over matrices", "misfit", "as seen", "sampling only"),
        ),
        rows=(
            (
                *("enhanced, source", "ethnicity", "latino hispanic", "69.5 %", "61.7 to 77.1"),
                *("61.7 to 77.1", "0.00", "69.5 %", "61.1 to 76.8"),
            ),
        ),
        num_words=1,
        note="",
    )
    interval, share = "-0.0155 (-0.1097 to 0.0787)", "-0.17 (-0.19 to -0.14)"
    gap = Table(
        title="Gap to the teacher",
        head=("row", "FD", "FD-infinity", "closure", "floor-corrected", "A to B", "B to A"),
        rows=(
            ("teacher, other prompts (floor)", "0.0340", interval, share, share, "-0.1", "-0.2"),
        ),
        num_words=1,
        note="",
    )
    made = ", ".join(f"setting {number} 0.5" for number in range(9))
    of = Table(
        title="What the numbers are of",
        head=("what", "settings", "weights, looks"),
        rows=(("ESA-CycleGAN", made, ", ".join(["4593f67080442e03"] * 4)),),
        num_words=1,
        note="",
    )
    section = Section(anchor="a", title="A", says="B", ours=[corrected, gap, of])
    (tmp_path / "index.html").write_text(page("A", [], "", [section]))
    shutil.copy(ROOT / "tasks/paper_page/assets/paper.css", tmp_path)
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360)):
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        view = context.new_page()
        view.goto((tmp_path / "index.html").as_uri())
        cut = [
            one.get_attribute("aria-label")
            for one in view.locator(".scroll").all()
            if one.evaluate("(one) => one.scrollWidth > one.clientWidth")
        ]
        assert bool(cut) == (width < 1000), cut
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        # An interval is never broken in two.
        heights = view.locator("td.wraps span").evaluate_all(
            "all => all.map(one => one.offsetHeight)"
        )
        assert heights
        assert max(heights) < 30
        context.close()


def test_another_head_or_dataset_has_what_reads_it_done_again(tmp_path: Path, preset: Path) -> None:
    def keys() -> dict[str, str]:
        every = steps(
            read_preset(preset), read_reproduce(preset), preset, tmp_path, benchmarked=True
        )
        return {step.name: step.key() for step in every}

    def changed(file: str) -> set[str]:
        before, path = keys(), tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file)
        return {name for name, key in keys().items() if key != before[name]}

    assert changed("heads/small/head/model.safetensors") == {"evaluate", "benchmark"}
    assert changed("enhanced/manifest.parquet") == {"audit", "evaluate"}
    assert changed("audit/report.json") == {"gallery", "evaluate"}


def test_what_never_changes_makes_way_for_a_changed_preset(done: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.toml"
    changed.write_text(PRESET.replace('"--count", "4"', '"--count", "3"'))
    out = shutil.copytree(done, tmp_path / "out")
    study = next(
        step
        for step in steps(
            read_preset(changed), read_reproduce(changed), changed, out, benchmarked=True
        )
        if step.name == "study"
    )
    before = json.loads((out / "steps/study.json").read_text())
    assert reproduce._do(study, "1 of 1", out, Console()) == 0
    aside = out / "aside" / f"study-{before['key']}"
    assert (aside / "study.json").read_bytes() == (done / "study/study.json").read_bytes()
    assert (out / "study/study.json").read_bytes() != (aside / "study.json").read_bytes()
    assert reproduce._do(study, "1 of 1", out, Console()) == 0


def test_a_failing_step_ends_it_with_its_code(done: Path, preset: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(PRESET.replace("count = 120", "count = 1200"))
    argv = [sys.executable, "-m", "workflows.reproduce", str(bad), "--out", str(tmp_path / "o")]
    run = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "plan-enhanced: ended with 2" in run.stderr
    assert "took_s" not in json.loads((tmp_path / "o/steps/plan-enhanced.json").read_text())
    # What is right again goes on, with all that did not change.
    bad.write_text(PRESET)
    run = subprocess.run(
        [*argv, "--until", "plan-enhanced"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "1 of 12, people: done" in run.stderr
    assert not (tmp_path / "o/steps/generate-baseline.json").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("[reproduce]", "[reproduced]"), "names: is missing"),
        (("audit = [", "audits = ["), "did you mean 'audit'"),
        (('name = "small"', 'name = "a/b"'), "is a folder's"),
        (("names = 120", "names = 0"), "names"),
        (("names = 120", 'names = 120\nprompts = ["cats.txt"]'), "draws portraits whatever"),
    ],
)
def test_presets_that_are_none(
    change: tuple[str, str], told: str, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "p.toml"
    path.write_text(PRESET.replace(*change))
    assert main(["reproduce", str(path), "--out", str(tmp_path / "o")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_an_unknown_step(preset: Path, tmp_path: Path, capsys: Capture) -> None:
    argv = ["reproduce", str(preset), "--out", str(tmp_path / "o"), "--until", "audt"]
    assert main(argv) == 2
    assert "did you mean 'audit'" in capsys.readouterr().err


def test_the_papers_own_presets_have_all_steps(tmp_path: Path) -> None:
    config = ROOT / "configs/paper.toml"
    every = list(
        steps(read_preset(config), read_reproduce(config), config, tmp_path, benchmarked=True)
    )
    names = [step.name for step in every]
    assert names[:2] == ["names", "plan-baseline"]
    for wanted in (
        "generate-teacher",
        "generate-source-1",
        "plan-teacher-4",
        "audit",
        "sweep",
        "train-esa",
        "train-unet",
        "evaluate",
    ):
        assert wanted in names
    assert names.index("train-esa") < names.index("evaluate") < names.index("benchmark")
    # Every path that [evaluate] names is made by a step before it.
    asked = read_evaluate(config)
    made = {step.name for step in every[: names.index("evaluate")]}
    assert len(asked.further_targets) == 3
    for row in (asked.data, asked.teacher, asked.source_alone, *asked.further_targets):
        assert f"generate-{row}" in made
    for one in asked.row:
        if one.kind == "dataset":
            assert f"generate-{one.dataset}" in made
        if one.kind == "head":
            assert f"train-{Path(one.head).parent.name}" in made
    # The sets outside the domain come after the table, into the same report.
    evaluate, prompts = every[names.index("evaluate") : names.index("evaluate") + 2]
    assert prompts.name == "prompts"
    assert prompts.words[: len(evaluate.words)] == evaluate.words
    files = [Path(one) for one in prompts.words[len(evaluate.words) + 1 :]]
    assert prompts.words[len(evaluate.words)] == "--prompts"
    assert sorted(files) == sorted((ROOT / "configs/prompts").glob("*.txt"))
    assert set(files) <= set(prompts.reads)
    assert prompts.outcome == evaluate.outcome
    (audit,) = (step for step in every if step.name == "audit")
    assert "--analyser" not in audit.words
    assert command(audit).startswith("relume audit ")


def test_prompts_that_cannot_be_read_are_told_before_anything_is_made(tmp_path: Path) -> None:
    paper = (ROOT / "configs/paper.toml").read_text()
    config = tmp_path / "paper.toml"
    config.write_text(paper)
    with pytest.raises(ValueError, match=r"prompts/portraits.txt: cannot be read"):
        list(steps(read_preset(config), read_reproduce(config), config, tmp_path, benchmarked=True))


def test_what_a_page_is_told_is_escaped() -> None:
    evil = "<script>x</script>"
    table = Table(title=evil, head=(evil,), rows=((evil,),), num_words=1, note=evil)
    figure = Figure(file='a"b.png', alt=evil, caption=evil)
    section = Section(
        anchor="a",
        title=evil,
        says=evil,
        ours=[table],
        paper=[table],
        figures=[figure],
        differs=[evil],
        missing=evil,
    )
    made = page(evil, [evil], evil, [section])
    assert "<script" not in made
    assert 'src="a&quot;b.png"' in made
