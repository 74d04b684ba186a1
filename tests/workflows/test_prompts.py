"""`relume prompts` and a plan of them: people of COCO, categories of MJHQ, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.generators.diffusers_pair.generator import DiffusersGenerator
from models.tiny.write import write
from shards.encoding import read_parquet
from shards.plan import planned_samples
from shards.run import read_planned
from tasks.prompt_files import coco_prompts
from workflows.cli import main

Capture = pytest.CaptureFixture[str]
CAPTIONS = [
    (7, 70, "A man  riding a horse\nin a field."),
    (7, 71, "A horse."),
    (8, 81, "Two women at a table."),
    (8, 80, "A table with Women's hats"),
    (9, 90, "A dog on a mangrove"),  # man is in no whole word
    (10, 100, "A PERSON on skis"),
    (11, 110, "Children, raising their hands"),
]
PRESET = """
[generator]
kind = "diffusers"
dtype = "float32"
scheduler = "pndm"
long_prompts = "cut"
negative_prompt = "bad face"
device = "cpu"
[split]
train = 0
validation = 0
test = 1
[stage.source]
model = "{model}"
revision = "tiny"
steps = 4
guidance = 7.5
[dataset.coco]
prompt = "{{prompt}}"
count = 3
stages = ["source"]
size_px = 64
shard_size = 2
batch_size = 2
splits = ["test"]
"""


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    path = tmp_path / "captions_val2017.json"
    told = [{"image_id": p, "id": c, "caption": text} for p, c, text in CAPTIONS]
    path.write_text(json.dumps({"images": [], "annotations": told}))
    return path


@pytest.fixture
def mjhq(tmp_path: Path) -> Path:
    path = tmp_path / "meta_data.json"
    told = {
        f"{category}{n:03x}": {"category": category, "prompt": f"{category} number {n}"}
        for n in range(6)
        for category in ("people", "animals", "art")
    }
    path.write_text(json.dumps(told))
    return path


def prompts(*words: object) -> int:
    return main(["prompts", *map(str, words)])


def rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_parquet(path).to_pylist()
    return found


def test_people_of_coco(coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.parquet"
    assert prompts(coco, "--kind", "coco", "--count", 4, "--out", out) == 0
    assert {(row["id"], row["prompt"]) for row in rows(out)} == {
        ("coco-000000000007", "A man riding a horse in a field."),
        ("coco-000000000008", "A table with Women's hats"),
        ("coco-000000000010", "A PERSON on skis"),
        ("coco-000000000011", "Children, raising their hands"),
    }
    fewer = tmp_path / "fewer.parquet"
    assert prompts(coco, "--kind", "coco", "--count", 2, "--out", fewer) == 0
    assert rows(fewer) == rows(out)[:2]
    orders = set()
    for seed in range(5):
        other = tmp_path / f"{seed}.parquet"
        words = ("--kind", "coco", "--count", 4, "--seed", seed, "--out", other)
        assert prompts(coco, *words) == 0
        orders.add(tuple(row["id"] for row in rows(other)))
    assert len(orders) > 1


ANIMALS = (
    "A couple of giraffes standing in a field.",
    "A baby elephant and a male lion",
    "A family of bears",
    "Two babies of a female cat, which groom each other",
    "An adult elephant leads its infant",
    "Ducks on a man-made lake",
    "Ducks on a man made pond",
)
OF_PEOPLE = (
    "A couple of girls with a baby giraffe",
    "A woman made a cake",
    "A family of four people and a dog",
)


def test_animals_are_no_people(tmp_path: Path) -> None:
    """Words that captions of animals have as well do not make a prompt about people."""
    path = tmp_path / "captions.json"
    told = [
        {"image_id": number, "id": number, "caption": text}
        for number, text in enumerate((*ANIMALS, *OF_PEOPLE))
    ]
    path.write_text(json.dumps({"annotations": told}))
    assert {one.prompt for one in coco_prompts(path)} == set(OF_PEOPLE)


def test_mjhq_equally_by_category(mjhq: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out.parquet"
    assert prompts(mjhq, "--kind", "mjhq", "--count", 9, "--out", out) == 0
    assert "animals 3, art 3, people 3" in capsys.readouterr().out
    found = rows(out)
    assert {row["category"] for row in found[:3]} == {"people", "animals", "art"}
    assert all(row["prompt"].startswith(row["category"]) for row in found)
    assert len({row["id"] for row in found}) == 9


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("coco", "{", "is not JSON"),
        ("coco", "{}", "has no annotations"),
        ("coco", '{"annotations": [{"id": 1}]}', "annotation 0: lacks image_id"),
        ("coco", '{"annotations": []}', "has 0 such prompts, --count asks for 4"),
        ("mjhq", "[]", "is no table of prompts"),
        ("mjhq", '{"a": {"prompt": "p"}}', "a: lacks category or prompt"),
        (
            "mjhq",
            json.dumps(
                {
                    f"k{n}": {"category": "art" if n else "people", "prompt": f"p {n}"}
                    for n in range(5)
                }
            ),
            "category 'people' has only 1 prompts",
        ),
    ],
)
def test_other_files_are_refused(
    tmp_path: Path, kind: str, text: str, told: str, capsys: Capture
) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    out = tmp_path / "out.parquet"
    assert prompts(path, "--kind", kind, "--count", 4, "--out", out) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_nothing_is_replaced(coco: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(b"mine")
    assert prompts(coco, "--kind", "coco", "--count", 1, "--out", out) == 2
    assert "is there already" in capsys.readouterr().err
    assert prompts(coco, "--kind", "coco", "--count", 0, "--out", tmp_path / "o") == 2
    assert out.read_bytes() == b"mine"


def test_a_plan_has_these_prompts_and_makes_pictures(
    coco: Path, tmp_path: Path, capsys: Capture
) -> None:
    table, preset, out = (tmp_path / name for name in ("p.parquet", "eval.toml", "out"))
    assert prompts(coco, "--kind", "coco", "--count", 4, "--out", table) == 0
    preset.write_text(PRESET.format(model=write("sd15", tmp_path / "sd15")))
    words = ["plan", str(preset), "--dataset", "coco", "--out", str(out)]
    assert main([*words, "--prompts", str(table)]) == 0
    run, plan = read_planned(out)
    wanted = {row["id"]: row["prompt"] for row in rows(table)[:3]}
    samples = [one for _, some in planned_samples(plan) for one in some]
    assert {one.id: one.prompt for one in samples} == wanted
    assert {one.split for one in samples} == {"test"}
    assert run.prompts is not None
    assert (run.prompts.rows, run.names) == (4, None)
    assert main(["generate", "--here", str(out)]) == 0
    assert "under a prompt of its own" in (out / "README.md").read_text()
    generator = DiffusersGenerator(run.config)
    generator.load()
    assert type(generator.pipelines["source"].run.scheduler).__name__ == "PNDMScheduler"
    capsys.readouterr()
    assert main(words) == 2
    assert "asks for prompts; choose some with relume prompts" in capsys.readouterr().err
    assert main([*words, "--prompts", str(tmp_path / "none")]) == 2
    assert "is no file; make it with relume prompts" in capsys.readouterr().err
    assert main([*words, "--prompts", str(table), "--dataset.count", "9"]) == 2
    assert "has 4 prompts, dataset.coco asks for 9" in capsys.readouterr().err
    assert main([*words, "--prompts", str(table), "--dataset.prompt", "A face"]) == 2
    assert "has no {prompt}; leave it out" in capsys.readouterr().err
