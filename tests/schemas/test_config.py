from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import (
    DatasetConfig,
    DatasetSettings,
    StageSettings,
    dataset_config,
    read_preset,
)
from schemas.generator import DiffusersSettings
from schemas.run import Run
from schemas.settings import as_plain, read_toml, resolve

PRESETS = [
    (path, name)
    for path in sorted(Path("configs").glob("*.toml"))
    if "dataset" in read_toml(path)  # those of the heads plan none
    for name in read_preset(path).dataset
]


@pytest.mark.parametrize(("path", "name"), PRESETS)
def test_presets_resolve_and_can_be_stored(path: Path, name: str) -> None:
    config = dataset_config(read_preset(path), name, str(path))
    stored = json.loads(json.dumps(as_plain(config)))
    assert resolve(DatasetConfig, stored, "run.json") == config
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


@given(st.integers(1, 1000), st.floats(0.001, 1))
def test_img2img_never_runs_more_steps_than_asked_and_never_none(
    steps: int, strength: float
) -> None:
    effective = StageSettings(model="m", steps=steps, strength=strength).effective_steps
    assert 1 <= effective <= steps
    assert effective - 1 <= steps * strength <= effective + 1


def dataset(**changes: object) -> DatasetSettings:
    return DatasetSettings(**({"prompt": "p", "count": 8, "stages": ("source",)} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"size_px": 100}, "size_px = 100: should be a multiple of 16"),
        ({"size_px": 32}, "size_px = 32: should be at least 64"),
        ({"stages": ("source", "source")}, "stages = .* should not repeat itself"),
        ({"splits": ("test", "test")}, "splits = .* should not repeat itself"),
        ({"stages": ("target",)}, "a target is made from a source; add 'source'"),
        ({"stages": ()}, r"stages = \(\): should be at least 1 long"),
        ({"batch_size": 1}, "batch_size = 1: should be at least 2"),
        ({"images_per_name": 3}, "count = 8: should be a multiple of images_per_name, which is 3"),
        ({"prompt": "of {nmae}"}, "prompt = 'of {nmae}': only {name} may stand in braces"),
        ({"prompt": "of {name"}, "prompt = 'of {name': only {name} may stand in braces"),
        ({"prompt": "of {}"}, "prompt = 'of {}': only {name} may stand in braces"),
        ({"prompt": "of {name.__class__}"}, "only {name} may stand in braces"),
        ({"prompt": "of {name[0]}"}, "only {name} may stand in braces"),
        ({"prompt": "of {name!r}"}, "only {name} may stand in braces"),
        ({"prompt": "of {name:>20}"}, "only {name} may stand in braces"),
        ({"prompt": "of {name:{width}}"}, "only {name} may stand in braces"),
        ({"prompt": "of {0}"}, "only {name} may stand in braces"),
        ({"prompt": "of } name"}, "only {name} may stand in braces"),
        ({"prompt": ""}, "prompt = '': should be at least 1 long"),
        ({"count": 0}, "count = 0: should be more than 0"),
        ({"size_px": 4096}, "size_px = 4096: should be at most 2048"),
        ({"stages": ("teacher", "target")}, "a target is made from a source"),
    ],
)
def test_datasets_that_cannot_be(changes: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        dataset(**changes)


def test_a_brace_can_be_meant_literally() -> None:
    assert dataset(prompt="a {{smile}} of {name}").has_names
    assert dataset(prompt="{{{name}}}").has_names
    assert not dataset(prompt="the word {{name}}").has_names


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_prompt_that_is_taken_can_be_filled_with_any_name(prompt: str, name: str) -> None:
    try:
        taken = dataset(prompt=prompt + "{name}")
    except ValueError as error:
        assert "only {name} may stand in braces" in str(error)  # noqa: PT017
        return
    assert taken.has_names
    assert taken.prompt.format(name=name).endswith(name)


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
    with pytest.raises(ValueError, match=told):
        read_preset(preset(tmp_path, BASE + text))


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
        read_preset(path)
    path = preset(tmp_path, BASE.replace("dataset.d", f"dataset.{'d' * 65}") + 'stages=["source"]')
    with pytest.raises(ValueError, match="digits, - and _ for its name, at most 64"):
        read_preset(path)


def test_the_longest_name_fits_into_a_tar(tmp_path: Path) -> None:
    from shards.layout import picture_member
    from shards.plan import make_plan
    from shards.tar import TarWriter

    longest = "d" * 64
    path = preset(tmp_path, BASE.replace("dataset.d", f"dataset.{longest}") + 'stages=["source"]')
    plan = make_plan(dataset_config(read_preset(path), longest, "preset.toml"), None)
    tar = TarWriter(tmp_path / "a.tar")
    assert tar.add(picture_member(plan["id"][0].as_py(), "teacher"), b"x") == 512
    tar.close()


def test_a_stored_config_with_a_mistake_names_its_file() -> None:
    config = as_plain(dataset_config(read_preset(Path("configs/demo.toml")), "baseline", "demo"))
    with pytest.raises(ValueError, match=r"run\.json: 1 mistake"):
        resolve(DatasetConfig, config | {"seed": -1}, "run.json")


def test_a_preset_is_refused_with_every_mistake_and_its_path(tmp_path: Path) -> None:
    text = """
    fractions = [0.1, 2]
    [split]
    trainn = 1
    [generator]
    kind = "difusers"
    [stage.sauce]
    model = "m"
    [stage.target]
    strength = 0
    [dataset.d]
    prompt = "p"
    count = 1.5
    stages = ["sorce"]
    """
    with pytest.raises(ValueError, match="8 mistakes") as caught:
        read_preset(preset(tmp_path, text))
    assert [line.strip() for line in str(caught.value).split("\n")[1:]] == [
        "fractions item 2 = 2: should be less than or equal to 1",
        "split.trainn = 1: unknown field; did you mean 'train'?",
        "generator.kind = 'difusers': did you mean 'diffusers'?",
        "stage.sauce: unknown section; did you mean 'source'?",
        "stage.target.model: is missing",
        "stage.target.strength = 0: should be greater than 0",
        "dataset.d.count = 1.5: should be a valid integer",
        "dataset.d.stages item 1 = 'sorce': did you mean 'source'?",
    ]


def test_a_run_json_of_another_version_is_refused() -> None:
    whole = {
        "config": as_plain(dataset_config(read_preset(Path("configs/demo.toml")), "baseline", "d")),
        "plan": {"sha256": "ab", "rows": 1},
        "names": None,
        "code": "c0de",
        "libraries": {},
    }
    assert resolve(Run, whole, "run.json").version == 1
    with pytest.raises(ValueError, match=r"run\.json: 1 mistake\n  version = 2: known here: 1"):
        resolve(Run, whole | {"version": 2}, "run.json")
    with pytest.raises(ValueError, match="record = 'generator': known here: run"):
        resolve(Run, whole | {"record": "generator"}, "run.json")


def test_a_lora_may_be_absent_but_not_empty() -> None:
    assert DiffusersSettings().lora is None
    with pytest.raises(ValueError, match=r"lora = '': should be at least 1 long"):
        DiffusersSettings(lora="")


def test_the_fast_profile_reads_less() -> None:
    assert DiffusersSettings(text_tokens=512).tokens_read == 512
    assert DiffusersSettings(text_tokens=512, profile="fast").tokens_read == 64
    assert DiffusersSettings(text_tokens=32, profile="fast").tokens_read == 32
