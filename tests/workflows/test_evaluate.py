"""`relume evaluate`: from datasets to tables, on Ray and without, and all that it refuses."""

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
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from models.generators.procedural.painter import PAINTER_REVISION
from models.heads.build import build_network
from models.heads.head import Head
from models.heads.training_ids import TrainingIds
from schemas.head import PictureMaker, ResnetSettings, TrainingFacts
from schemas.name import NAME_SCHEMA, Name
from schemas.records import to_table
from shards.plan import read_plan
from tasks.evaluation.openings import openings
from tests.presets import PROCEDURAL
from workflows.cli import main

Capture = pytest.CaptureFixture[str]

# A gap that a hundred prompts of 64 px show.
WIDE_GAP = PROCEDURAL.replace('kind = "procedural"', 'kind = "procedural"\ngap = 2.0', 1)
PRESET = f"""
seed = 11
{WIDE_GAP}
[stage.teacher]
model = "procedural"
revision = "{PAINTER_REVISION}"

[split]
train = 1
validation = 2
test = 3

[dataset.pairs]
prompt = "A portrait of {{name}}"
count = 200
stages = ["source", "target"]
size_px = 64
shard_size = 32
batch_size = 4

[dataset.teacher]
prompt = "A portrait of {{name}}"
count = 200
stages = ["teacher"]
size_px = 64
shard_size = 32
batch_size = 4
splits = ["test"]

[dataset.alone]
prompt = "A portrait"
count = 8
stages = ["source"]
size_px = 64
shard_size = 4
batch_size = 4
"""
EVALUATE = """
[evaluate]
data = "pairs"
teacher = "teacher"
source_alone = "alone"
further_targets = ["again"]
audit = "audit"
draws = 8
tuning_pictures = 16

[[evaluate.network]]
kind = "texture"

[[evaluate.network]]
kind = "pairs"

[[evaluate.network]]
kind = "detail"

[[evaluate.row]]
kind = "head"
name = "a head"
head = "head"

[[evaluate.row]]
kind = "folder"
name = "copies"
folder = "copies"

[[evaluate.row]]
kind = "dataset"
name = "teacher again"
dataset = "teacher"
stage = "teacher"
seconds_per_picture = 2.0

[[evaluate.row]]
kind = "filter"
name = "unsharp"
filter = "unsharp"

[[evaluate.row]]
kind = "filter"
name = "grain"
filter = "grain"
"""


def save_head(
    folder: Path, ids: list[str], *, source: str = "procedural", known: bool = True
) -> None:
    """A head that changes pictures by chance, and says what it was trained on."""
    settings = ResnetSettings(width=8, halvings=0, num_blocks=1, residual_output=True)
    network = build_network(settings, seed=1)
    with torch.no_grad():
        for one in network.parameters():
            one.add_(0.01 * torch.randn(one.shape, generator=torch.Generator().manual_seed(3)))
    trained = TrainingIds.of(ids)
    facts = TrainingFacts(
        dataset="pairs",
        method="cyclegan",
        profile="procedural",
        source=PictureMaker(model=source, revision=PAINTER_REVISION),
        target=PictureMaker(model="procedural", revision=PAINTER_REVISION),
        num_ids=len(trained),
        ids_sha256=trained.sha256,
        size_px=64,
        images_seen=10,
        config_sha256="0",
    )
    given = (facts, trained) if known else (None, None)
    Head(network, settings, *given).save(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the config names, made by the verbs."""
    folder = tmp_path_factory.mktemp("evaluate")
    config = folder / "preset.toml"
    config.write_text(PRESET + EVALUATE)
    people = [
        Name(nconst=f"nm{n:07d}", name=f"Anna{n:03d} Berg", birth_year=None, professions=["actor"])
        for n in range(200)
    ]
    names = folder / "names.parquet"
    pq.write_table(to_table(people, NAME_SCHEMA), names)
    for name, dataset, *more in (
        ("pairs", "pairs"),
        ("again", "pairs", "--stage.target.draw", "1"),
        ("teacher", "teacher"),
        ("alone", "alone"),
    ):
        words = ["--names", str(names)] if dataset != "alone" else []
        argv = [str(config), "--dataset", dataset, "--out", str(folder / name), *words, *more]
        assert main(["plan", *argv]) == 0
        assert main(["generate", "--here", str(folder / name)]) == 0
    audit = ["audit", str(folder / "pairs"), "--out", str(folder / "audit"), "--here"]
    assert main([*audit, "--analyser", "truth"]) == 0
    plan = read_plan(folder / "pairs").to_pylist()
    save_head(folder / "head", [one["id"] for one in plan if one["split"] == "train"])
    (folder / "copies").mkdir()
    rng = np.random.default_rng(5)
    for one in plan:
        if one["split"] == "test":
            picture = rng.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(picture).save(folder / "copies" / f"{one['id']}.png")
    return folder


def evaluate(root: Path, out: Path, *more: str, config: Path | None = None) -> int:
    config = config or root / "preset.toml"
    argv = ["evaluate", str(config), "--root", str(root), "--out", str(out), "--here", *more]
    return main(argv)


def report_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


@pytest.fixture(scope="module")
def evaluated(root: Path) -> Path:
    out = root / "out"
    assert evaluate(root, out) == 0
    return out


def test_the_ends_of_every_scale(evaluated: Path) -> None:
    told = report_of(evaluated)["evaluation"]
    by_name = {row["name"]: row for row in told["gaps"]["target"]["texture"]["rows"]}
    assert list(by_name) == [
        *("source", "teacher", "a head", "copies", "teacher again", "unsharp", "grain")
    ]
    assert by_name["source"]["closure"]["value"] == pytest.approx(0)
    assert by_name["teacher"] == {**by_name["teacher again"], "name": "teacher"}
    assert by_name["teacher"]["closure"]["value"] > by_name["unsharp"]["closure"]["value"]
    assert by_name["copies"]["closure"]["high"] < -1, "noise is no portrait"
    assert told["num"] == told["num_planned"] == len(read_ids(evaluated.parent))
    assert told["procedural"]
    assert told["left_out"] == {}
    # The second reference has the target as a row, and the first one as its floor.
    assert "target" in [row["name"] for row in told["gaps"]["teacher"]["texture"]["rows"]]
    for near in told["nearness"]["target"].values():
        for share in (near["precision"], near["recall"]):
            assert 0 <= share["low"] <= share["value"] <= share["high"] <= 1
    looks = told["looks"]
    assert looks["source"]["means"]["ssim_source"]["value"] == pytest.approx(1)
    assert looks["target"]["means"]["error_target"]["value"] == 0
    assert looks["copies"]["means"]["high"]["value"] > looks["target"]["means"]["high"]["value"]


def read_ids(root: Path) -> list[str]:
    rows = read_plan(root / "pairs").to_pylist()
    return [one["id"] for one in rows if one["split"] == "test"]


def test_every_number_can_be_traced(evaluated: Path, root: Path) -> None:
    told = report_of(evaluated)["evaluation"]
    head = told["rows"]["a head"]
    assert (
        head["weights_sha256"]
        == json.loads((root / "head/config.json").read_text())["weights_sha256"]
    )
    assert head["flags"] == []
    assert head["training"]["profile"] == "procedural"
    stores = {path.name for path in (evaluated / "features").iterdir()}
    for row in told["rows"].values():
        assert set(row["looks"]) == {"texture", "pairs", "detail"}
        assert set(row["looks"].values()) <= stores
    for kind in ("unsharp", "grain"):
        tried = told["rows"][kind]["tried_on_validation"]
        setting = told["rows"][kind]["setting"]
        best = max(tried, key=lambda one: tried[one])
        assert best == f"{kind}: {', '.join(str(value) for value in setting.values())}"
    assert told["rows"]["teacher"]["seed"] == 11
    assert told["networks"]["texture"] == {"network": {"kind": "texture"}, "weights": {}}
    assert told["settings"]["draws"] == 8
    assert "alone, median of" in told["speeds"]["source"]["told_by"]
    assert told["speeds"]["a head"]["seconds"] > told["speeds"]["source"]["seconds"]
    assert told["speeds"]["teacher again"] == {"seconds": 2.0, "told_by": "the config"}


def test_drift_and_consistency(evaluated: Path) -> None:
    told = report_of(evaluated)["evaluation"]
    # The painter's targets show the same people.
    assert told["drift"]["target"]["groups"]["gender"]["changed"] == 0
    assert told["drift"]["target"]["identity"]["mean"] == pytest.approx(1)
    found = told["consistency"]
    assert found["num_seeds"] == 2
    assert 0.3 < found["explainable"]["value"] <= 1.05
    assert set(told["explained"]) == {"a head", "copies", "unsharp", "grain"}
    assert told["explained"]["copies"]["share"]["value"] < 0


def test_what_is_written(evaluated: Path, capsys: Capture, root: Path) -> None:
    text = (evaluated / "report.md").read_text()
    assert "stands beside no number of FLUX" in text
    for title in ("Gap to the target", "Gap to the teacher", "Same prompts, as in the paper"):
        assert f"## {title}" in text
    assert "FD-infinity is not to be trusted" in text or "the covariance is singular" in text
    latex = (evaluated / "tables.tex").read_text()
    assert latex.count(r"\begin{tabular}") == len(report_of(evaluated)["tables"])
    assert r"FID\_source" in latex
    for figure in ("closures", "pareto"):
        assert (evaluated / "figures" / f"{figure}.png").stat().st_size > 5000
        assert (evaluated / "figures" / f"{figure}.svg").exists()
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in evaluated.rglob("*") if path.is_file()}
    assert evaluate(root, evaluated, "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == report_of(evaluated)
    assert "was finished before, and nothing has changed since" in said.err
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_test_is_opened_by_a_line_in_a_log(evaluated: Path, root: Path) -> None:
    (line, *_) = openings(root / "pairs")
    assert line["rows"][:2] == ["source", "target"]
    assert line["split"] == "test"
    assert len(line["config_sha256"]) == 64
    assert line["code"]
    assert main(["inspect", str(root / "pairs"), "--verify"]) == 0


def test_a_rehearsal_opens_nothing_and_a_row_more_is_looked_at_alone(
    evaluated: Path, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    before = len(list(openings(root / "pairs")))
    config = tmp_path / "rehearsal.toml"
    short = EVALUATE.split("[[evaluate.row]]")[0].replace('teacher = "teacher"\n', "")
    config.write_text(PRESET + short)
    out, store = tmp_path / "out", tmp_path / "features"
    more = ["--split", "validation", "--features", str(store)]
    assert evaluate(root, out, *more, config=config) == 0
    assert len(list(openings(root / "pairs"))) == before
    looks = set(store.iterdir())
    config.write_text(
        config.read_text()
        + '[[evaluate.row]]\nkind = "head"\nname = "late"\nhead = "head"\nprecision = "bfloat16"\n'
    )
    assert evaluate(root, out, *more, config=config) == 0
    assert len(set(store.iterdir()) - looks) == 1
    assert report_of(out)["evaluation"]["split"] == "validation"
    assert "late" in capsys.readouterr().out
    # A network less: what has been seen is enough.
    config.write_text(config.read_text().replace('[[evaluate.network]]\nkind = "detail"\n', ""))
    looks = set(store.iterdir())
    assert evaluate(root, out, *more, config=config) == 0
    assert set(store.iterdir()) == looks


def test_killed_and_continued_on_ray(evaluated: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = [sys.executable, "-m", "workflows.evaluate", str(root / "preset.toml")]
    argv += ["--root", str(root), "--out", str(out)]
    driver = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while driver.poll() is None and not list(out.glob("features/*/test-*.done.json")):
        time.sleep(0.01)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    made = set(out.glob("features/*/*.done.json"))
    assert made
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Gap to the target" in done.stdout
    for path in (out / "features").glob("*/*.parquet"):
        there = evaluated / path.relative_to(out)
        if not _by_network(path):
            assert path.read_bytes() == there.read_bytes()
    ours, theirs = (report_of(one)["evaluation"] for one in (out, evaluated))
    for name in ("gaps", "same_prompts", "nearness", "looks"):
        assert flat(ours[name]) == pytest.approx(flat(theirs[name]), rel=1e-3, abs=1e-3)


def _by_network(path: Path) -> bool:
    """A head's last digits depend on how many threads it has."""
    look = json.loads((path.parent / "look.json").read_text())
    return bool(look["view"]["change"]["kind"] == "head")


def flat(told: Any, where: str = "") -> dict[str, float]:
    if isinstance(told, dict):
        items: Any = told.items()
    elif isinstance(told, list):
        items = enumerate(told)
    else:
        return {where: told} if isinstance(told, float | int) else {}
    found: dict[str, float] = {}
    for key, one in items:
        found |= flat(one, f"{where}.{key}")
    return found


def test_parts_share_the_looking(root: Path, tmp_path: Path, capsys: Capture) -> None:
    config = tmp_path / "config.toml"
    config.write_text(PRESET + EVALUATE.split("[[evaluate.row]]")[0])
    out = tmp_path / "out"
    assert evaluate(root, out, "--part", "1/2", config=config) == 0
    assert not (out / "report.json").exists()
    assert "the part that ends last makes the tables" in capsys.readouterr().err
    assert evaluate(root, out, "--part", "2/2", config=config) == 0
    assert (out / "report.json").exists()


Spoil = Callable[[Path], None]


def without_weights(folder: Path) -> None:
    shutil.copytree(folder / "head", folder / "spoilt")
    (folder / "spoilt/model.safetensors").rename(folder / "spoilt/model.pth")


def of_another_version(folder: Path) -> None:
    shutil.copytree(folder / "head", folder / "spoilt")
    config = json.loads((folder / "spoilt/config.json").read_text())
    (folder / "spoilt/config.json").write_text(json.dumps({**config, "version": 2}))


def with_other_weights(folder: Path) -> None:
    shutil.copytree(folder / "head", folder / "spoilt")
    path = folder / "spoilt/model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\1\2\3")


def that_saw_test(folder: Path) -> None:
    save_head(folder / "spoilt", read_ids(folder)[:3])


def that_is_not_there(folder: Path) -> None:
    (folder / "spoilt").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (without_weights, r"model.safetensors: is missing, and model.pth is not read: it could"),
        (of_another_version, "version = 2: this Relume reads 1"),
        (with_other_weights, r"is not the file that config.json is of"),
        (that_saw_test, r"was trained on 3 of the \d+ samples that it would be judged on, for"),
        (
            that_is_not_there,
            "row 'a head': /.*/spoilt: no such folder of a head; name the RUN/head",
        ),
    ],
)
def test_heads_that_are_refused(
    spoil: Spoil, told: str, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    shutil.rmtree(root / "spoilt", ignore_errors=True)
    spoil(root)
    config = tmp_path / "config.toml"
    config.write_text(PRESET + EVALUATE.replace('head = "head"', 'head = "spoilt"'))
    assert evaluate(root, tmp_path / "out", config=config) == 2
    said = capsys.readouterr().err
    assert pytest.approx(said.count("error:")) == 1
    import re

    assert re.search(told, said), said
    assert not (tmp_path / "out/features").exists()


def test_heads_that_are_flagged(root: Path, tmp_path: Path, capsys: Capture) -> None:
    save_head(root / "elsewhere", ["a"], source="another model")
    save_head(root / "unknown", ["a"], known=False)
    config = tmp_path / "config.toml"
    rows = '[[evaluate.row]]\nkind = "head"\nname = "{0}"\nhead = "{0}"\n'
    short = EVALUATE.split("[[evaluate.row]]")[0].replace("pairs\ndetail", "")
    config.write_text(PRESET + short + rows.format("elsewhere") + rows.format("unknown"))
    assert evaluate(root, tmp_path / "out", "--split", "validation", config=config) == 2
    assert "plans nothing of validation" in capsys.readouterr().err
    config.write_text(config.read_text().replace('teacher = "teacher"\n', ""))
    assert evaluate(root, tmp_path / "out", "--split", "validation", config=config) == 0
    told = report_of(tmp_path / "out")["evaluation"]["rows"]
    assert told["elsewhere"]["flags"] == ["other source"]
    assert told["unknown"]["flags"] == ["training unknown"]
    text = (tmp_path / "out/report.md").read_text()
    assert "| elsewhere \u2020 |" in text
    assert "\u2021 a head that does not say what it was trained on" in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('data = "pairs"', 'data = "nothing"', "is no folder of a dataset"),
        ('data = "pairs"', 'data = "teacher"', "has teacher, and source is asked for"),
        ('folder = "copies"', 'folder = "head"', "lacks .* pictures, for example .*png; a row has"),
        ('folder = "copies"', 'folder = "none"', "is no folder; correct evaluate.row.folder"),
        ('dataset = "teacher"', 'dataset = "alone"', "alone: has source, and teacher is asked for"),
        ('name = "copies"', 'name = "target"', "is a row of every table; choose another name"),
        ('name = "copies"', 'name = "a head"', "stands twice; give each row a name of its own"),
        (
            'kind = "texture"',
            'kind = "cmmd"',
            "the first is 'cmmd', and of the first the gap to the target is told",
        ),
        ('kind = "detail"', 'kind = "pairs"', "pairs stands twice; leave one out"),
        ('kind = "detail"', 'kind = "dinov2"', "dinov2-large.*get it with: relume fetch --metrics"),
        ('source_alone = "alone"', 'source_alone = "pairs"', "has not the sources of .* alone"),
        (
            'further_targets = ["again"]',
            'further_targets = ["other"]',
            "another source of .* --stage.target.draw 1",
        ),
        ('audit = "audit"', 'audit = "nowhere"', "nowhere.rows.parquet"),
    ],
)
def test_configs_that_are_refused(
    old: str, new: str, told: str, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    if "other" in new and not (root / "other").exists():
        argv = ["plan", str(root / "preset.toml"), "--dataset", "pairs", "--seed", "12"]
        names = ["--names", str(root / "names.parquet"), "--out", str(root / "other")]
        assert main([*argv, *names, "--dataset.splits", "test"]) == 0
        assert main(["generate", "--here", str(root / "other")]) == 0
        capsys.readouterr()
    config = tmp_path / "config.toml"
    config.write_text(PRESET + EVALUATE.replace(old, new))
    assert evaluate(root, tmp_path / "out", config=config) == 2
    import re

    said = capsys.readouterr().err
    assert re.search(told, said), said


def test_places_that_are_refused(root: Path, tmp_path: Path, capsys: Capture) -> None:
    assert evaluate(root, root / "pairs/out") == 2
    assert "lies in" in capsys.readouterr().err
    config = tmp_path / "config.toml"
    config.write_text(PRESET)
    assert evaluate(root, tmp_path / "out", config=config) == 2
    assert "has no [evaluate]; docs/evaluate.md tells" in capsys.readouterr().err
    prompts = "configs/prompts/animals.txt"
    assert evaluate(root, tmp_path / "out", "--prompts", prompts) == 2
    assert "draws portraits whatever it is asked" in capsys.readouterr().err
    broken = shutil.copytree(root / "teacher", tmp_path / "broken")
    next(broken.glob("test/*.done.json")).unlink()
    config.write_text(PRESET + EVALUATE.replace('teacher = "teacher"', f'teacher = "{broken}"'))
    assert evaluate(root, tmp_path / "out", config=config) == 2
    assert "shards of test, for example test/shard-" in capsys.readouterr().err


def test_a_picture_that_failed_is_left_out_of_all_rows(root: Path, tmp_path: Path) -> None:
    copies = shutil.copytree(root / "copies", tmp_path / "copies")
    gone = read_ids(root)[:2]
    (copies / f"{gone[0]}.png").write_bytes(b"")
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(copies / f"{gone[1]}.png", save_all=True, append_images=frames[1:])
    config = tmp_path / "config.toml"
    short = EVALUATE.split("[[evaluate.row]]")[0]
    row = f'[[evaluate.row]]\nkind = "folder"\nname = "copies"\nfolder = "{copies}"\n'
    config.write_text(PRESET + short + row)
    assert evaluate(root, tmp_path / "out", config=config) == 0
    told = report_of(tmp_path / "out")["evaluation"]
    assert set(told["left_out"]) == set(gone)
    assert told["num"] == told["num_planned"] - 2
    assert told["left_out"][gone[0]].startswith("copies: cannot be decoded")
    table = told["gaps"]["target"]["texture"]
    assert table["num_a"] + table["num_b"] == told["num"]


def test_another_family_has_a_block_of_its_own(root: Path, evaluated: Path, tmp_path: Path) -> None:
    """Of its rows no distance to the target is told, and no other number changes."""
    config = tmp_path / "config.toml"
    first, *rows = EVALUATE.split("[[evaluate.row]]")
    blocks = {"copies": "Noise", "teacher again": "Teachers"}
    for name, block in blocks.items():
        told = f'name = "{name}"'
        rows = [one.replace(told, f'{told}\nblock = "{block}"') for one in rows]
    config.write_text(PRESET + "[[evaluate.row]]".join([first, *rows]))
    assert evaluate(root, tmp_path / "out", config=config) == 0
    now, before = (report_of(one)["evaluation"] for one in (tmp_path / "out", evaluated))
    assert now["blocks"] == {block: [name] for name, block in blocks.items()}
    for reference, by_what in now["gaps"].items():
        for what, table in by_what.items():
            earlier = before["gaps"][reference][what]["rows"]
            assert table["rows"] == [one for one in earlier if one["name"] not in blocks]
    tables = {one["title"]: one for one in report_of(tmp_path / "out")["tables"]}
    assert [row[0] for row in tables["Pictures, Noise"]["rows"]] == ["copies"]
    assert "SSIM to target" not in tables["Pictures, Noise"]["columns"]
    assert not {row[0] for row in tables["Pictures"]["rows"]} & set(blocks)


def test_pictures_of_a_folder_have_one_size(root: Path, tmp_path: Path, capsys: Capture) -> None:
    copies = shutil.copytree(root / "copies", tmp_path / "copies")
    Image.new("RGB", (32, 48)).save(copies / f"{read_ids(root)[4]}.png")
    config = tmp_path / "config.toml"
    short = EVALUATE.split("[[evaluate.row]]")[0]
    row = f'[[evaluate.row]]\nkind = "folder"\nname = "copies"\nfolder = "{copies}"\n'
    config.write_text(PRESET + short + row)
    assert evaluate(root, tmp_path / "out", config=config) == 2
    said = capsys.readouterr().err
    assert f"{read_ids(root)[4]}.png has 32 x 48 px; scale all pictures of a row alike" in said
    for one in copies.iterdir():
        Image.new("RGB", (32, 32)).save(one)
    assert evaluate(root, tmp_path / "out", config=config) == 2
    assert "which the network texture cannot compare; scale them" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
