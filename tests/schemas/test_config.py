from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.config import (
    DatasetSettings,
    StageSettings,
    dataset_config,
    read_preset,
    stored_config,
)
from schemas.settings import as_plain

PRESETS = [
    (path, name)
    for path in sorted(Path("configs").glob("*.toml"))
    for name in read_preset(path).dataset
]


@pytest.mark.parametrize(("path", "name"), PRESETS)
def test_presets_resolve_and_can_be_stored(path: Path, name: str) -> None:
    config = dataset_config(read_preset(path), name, str(path))
    stored = json.loads(json.dumps(as_plain(config)))
    assert stored_config(stored, "run.json") == config
    assert set(config.stage) == set(config.dataset.stages)


def test_the_papers_numbers() -> None:
    paper = read_preset(Path("configs/paper.toml"))
    assert (paper.dataset["enhanced"].count, paper.dataset["baseline"].count) == (140_000, 10_000)
    assert paper.fractions == (0.005, 0.01, 0.02, 0.2)
    target = paper.stage["target"]
    assert (target.steps, target.guidance, target.strength) == (50, 3.0, 0.7)
    assert target.effective_steps == 35
    assert paper.stage["source"].effective_steps == 4
    assert not paper.dataset["baseline"].has_names
    assert paper.dataset["teacher"].splits == ("test",)


@pytest.mark.parametrize(
    ("steps", "strength", "effective"), [(50, 0.7, 35), (28, 0.7, 20), (50, 1.0, 50), (4, 0.1, 1)]
)
def test_img2img_skips_the_beginning(steps: int, strength: float, effective: int) -> None:
    """N - int(n - n x strength), as diffusers counts."""
    assert StageSettings(model="m", steps=steps, strength=strength).effective_steps == effective


def dataset(**changes: object) -> DatasetSettings:
    return DatasetSettings(**({"prompt": "p", "count": 8, "stages": ("source",)} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"size_px": 100}, "size_px = 100: should be a multiple of 16"),
        ({"size_px": 32}, "size_px = 32: should be at least 64"),
        ({"stages": ("source", "source")}, "stages = .* should not repeat itself"),
        ({"splits": ("test", "test")}, "splits = .* should not repeat itself"),
        ({"stages": ("target",)}, "stages: a target is made from a source; add 'source'"),
        ({"stages": ()}, r"stages = \(\): should be at least 1 long"),
        ({"batch_size": 1}, "batch_size = 1: should be at least 2"),
        ({"images_per_name": 3}, "count = 8: should be a multiple of images_per_name, which is 3"),
        ({"prompt": "of {nmae}"}, "prompt = 'of {nmae}': only {name} may stand in braces"),
        ({"prompt": "of {name"}, "prompt = 'of {name': only {name} may stand in braces"),
        ({"prompt": "of {}"}, "prompt = 'of {}': only {name} may stand in braces"),
        ({"prompt": "of {name.__class__}"}, "only {name} may stand in braces"),
    ],
)
def test_datasets_that_cannot_be(changes: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        dataset(**changes)


def test_a_brace_can_be_meant_literally() -> None:
    assert dataset(prompt="a {{smile}} of {name}").has_names


def preset(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "preset.toml"
    path.write_text(text)
    return path


BASE = """
[generator]
kind = "procedural"
[stage.source]
model = "m"
[dataset.d]
prompt = "p"
count = 1
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('stages = ["teacher"]', r"stage\.teacher: is missing, and dataset\.d asks for it"),
        (
            'stages = ["source", "target"]\n[stage.target]\nmodel = "m"',
            r"stage\.target\.strength: is missing; a target is img2img",
        ),
        (
            'stages = ["teacher"]\n[stage.teacher]\nmodel = "m"\nstrength = 0.5',
            r"stage\.teacher\.strength = 0\.5: only a target has one",
        ),
    ],
)
def test_sections_that_do_not_fit_together(tmp_path: Path, text: str, told: str) -> None:
    found = read_preset(preset(tmp_path, BASE + text))
    with pytest.raises(ValueError, match=told):
        dataset_config(found, "d", "preset.toml")


def test_rules_of_several_fields_are_told_with_their_path(tmp_path: Path) -> None:
    text = 'stages = ["source"]\nsize_px = 100\n[split]\ntrain = 0\nvalidation = 0\ntest = 0'
    with pytest.raises(ValueError, match="2 mistakes") as caught:
        read_preset(preset(tmp_path, BASE + text))
    assert "dataset.d.size_px = 100: should be a multiple of 16" in str(caught.value)
    assert "split.train = 0: all weights are 0" in str(caught.value)


def test_a_dataset_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"no \[dataset\.enhancd\]; did you mean 'enhanced'\?"):
        dataset_config(read_preset(Path("configs/demo.toml")), "enhancd", "demo.toml")


def test_names_of_datasets_become_ids(tmp_path: Path) -> None:
    path = preset(tmp_path, BASE.replace("dataset.d", 'dataset."a/b"') + 'stages = ["source"]')
    with pytest.raises(ValueError, match="dataset 'a/b': use letters, digits, - and _"):
        dataset_config(read_preset(path), "a/b", "preset.toml")


def test_a_stored_config_with_a_mistake_names_its_file() -> None:
    config = as_plain(dataset_config(read_preset(Path("configs/demo.toml")), "baseline", "demo"))
    with pytest.raises(ValueError, match=r"run\.json: 1 mistake"):
        stored_config(config | {"seed": -1}, "run.json")
