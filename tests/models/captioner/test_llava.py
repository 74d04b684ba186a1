"""The tiny LLaVA goes through the code that loads a real one; batches say what single runs say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from models.captioner.clip_length import (
    MOST_TOKENS,
    ClipLength,
    clip_tokenizer_files,
    clip_tokenizer_folder,
)
from models.captioner.llava import Captioner, captioner_files, captioner_folder, load_captioner
from models.captioner.templates import QUESTIONS, prompt_of, question_of
from models.tiny.write import write
from tests.photographs import painted

Levels = NDArray[np.uint8]
SHORT, LONG = prompt_of("Why?"), prompt_of(QUESTIONS["portrait-1"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("llava", tmp_path_factory.mktemp("tiny") / "llava")


@pytest.fixture(scope="module")
def captioner(folder: Path) -> Captioner:
    torch.set_num_threads(1)
    return load_captioner(folder, "cpu", "float32")


@pytest.fixture(scope="module")
def pictures() -> list[Levels]:
    # Also of another shape: the processor brings all to one.
    shapes = [(96, 96), (120, 80)]
    return [np.asarray(one.resize(shapes[n % 2])) for n, one in enumerate(painted(8))]


def test_its_files_are_named_as_published(folder: Path) -> None:
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    names = set(index["weight_map"])
    assert {
        "language_model.model.embed_tokens.weight",
        "language_model.lm_head.weight",
        "multi_modal_projector.linear_1.weight",
        "vision_tower.vision_model.embeddings.patch_embedding.weight",
    } <= names
    assert len(set(index["weight_map"].values())) > 1
    found = {name for file in folder.glob("*.safetensors") for name in load_file(file)}
    assert found == names
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlavaForConditionalGeneration"]
    assert (config["vision_feature_layer"], config["vision_feature_select_strategy"]) == (
        -2,
        "default",
    )


@pytest.mark.parametrize("prompts", [[LONG] * 8, [SHORT, LONG] * 4])
def test_a_batch_says_what_each_picture_gets_alone(
    captioner: Captioner, pictures: list[Levels], prompts: list[str]
) -> None:
    together = captioner(pictures, prompts, 20)
    alone = [
        captioner([one], [prompt], 20)[0] for one, prompt in zip(pictures, prompts, strict=True)
    ]
    assert together == alone
    # It speaks of the picture, and comes to an end by itself sometimes.
    assert len({one.text for one in together}) > 4
    assert {one.cut for one in together} == {True, False}
    assert all(one.num_tokens == 20 for one in together if one.cut)
    assert all(one.num_tokens < 20 for one in together if not one.cut)


def test_padding_on_the_right_would_say_something_else(
    captioner: Captioner, pictures: list[Levels]
) -> None:
    prompts = [SHORT, LONG] * 4
    right = captioner(pictures, prompts, 20)
    tokenizer = captioner.processor.tokenizer
    assert tokenizer.padding_side == "left"
    tokenizer.padding_side = "right"
    try:
        wrong = captioner(pictures, prompts, 20)
    finally:
        tokenizer.padding_side = "left"
    same = [one == other for one, other in zip(right, wrong, strict=True)]
    assert same[1::2] == [True] * 4  # the longest of a batch is not padded
    assert not all(same[::2])


def test_other_number_formats_load(folder: Path, pictures: list[Levels]) -> None:
    captioner = load_captioner(folder, "cpu", "bfloat16")
    assert captioner.model.dtype == torch.bfloat16
    assert captioner(pictures[:2], [LONG] * 2, 4)[0].num_tokens <= 4


def test_no_picture_processor_of_torchvision_is_needed(captioner: Captioner) -> None:
    assert type(captioner.processor.image_processor).__name__ == "CLIPImageProcessorPil"


def test_every_file_that_is_read_is_known_by_its_sum(folder: Path) -> None:
    found = captioner_files(folder)
    assert {"config.json", "tokenizer.json", "preprocessor_config.json"} <= set(found)
    assert sum(name.endswith(".safetensors") for name in found) > 1
    assert all(len(digits) == 64 for digits in found.values())


def changed(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "changed"))


@pytest.mark.parametrize("what", ["missing", "unexpected", "mismatched"])
def test_other_weights_are_refused(folder: Path, tmp_path: Path, what: str) -> None:
    other = changed(folder, tmp_path)
    index = json.loads((other / "model.safetensors.index.json").read_text())
    name = "multi_modal_projector.linear_1.weight"
    file = other / index["weight_map"][name]
    tensors = load_file(file)
    if what == "missing":
        tensors.pop(name)
    elif what == "unexpected":
        tensors["multi_modal_projector.linear_3.weight"] = tensors[name].clone()
        tensors["vision_tower.vision_model.embeddings.position_ids"] = torch.arange(17)
    else:
        tensors[name] = tensors[name][:5].clone()
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"changed: .*get it with: relume fetch --captions"):
        load_captioner(other, "cpu", "float32")


def test_tables_that_are_computed_today_may_be_in_old_files(folder: Path, tmp_path: Path) -> None:
    other = changed(folder, tmp_path)
    file = sorted(other.glob("*.safetensors"))[0]
    tensors = load_file(file)
    tensors["vision_tower.vision_model.embeddings.position_ids"] = torch.arange(17)
    save_file(tensors, file, {"format": "pt"})
    assert load_captioner(other, "cpu", "float32")


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    other = changed(folder, tmp_path)
    (other / "processor_config.json").unlink()
    with pytest.raises(ValueError, match=r"lacks processor_config\.json; get it with"):
        captioner_files(other)
    for file in other.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(ValueError, match="has no weights in safetensors; get it with"):
        captioner_files(other)
    with pytest.raises(ValueError, match=r"cannot be loaded: .*; get it with"):
        load_captioner(other, "cpu", "float32")
    assert captioner_folder(str(other), "main") == other
    for name in ("llava-hf/llava-1.5-7b-hf", "no//name"):
        with pytest.raises(ValueError, match=f"{name}: is no folder, nor in "):
            captioner_folder(name, "main")


def test_a_processor_of_an_older_snapshot_is_refused(folder: Path, tmp_path: Path) -> None:
    other = changed(folder, tmp_path)
    told = json.loads((other / "processor_config.json").read_text())
    told.pop("patch_size")
    (other / "processor_config.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"processor_config\.json has no patch_size; get it"):
        load_captioner(other, "cpu", "float32")


def test_a_model_of_the_hubs_cache_is_found(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "models--a--llava"
    snapshot = place / "snapshots/0123"
    shutil.copytree(folder, snapshot)
    (place / "refs").mkdir()
    (place / "refs/main").write_text("0123")
    for name in ("vocab.json", "merges.txt"):
        (snapshot / "tokenizer").mkdir(exist_ok=True)
        (snapshot / "tokenizer" / name).write_text("{}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
    assert captioner_folder("a/llava", "main") == snapshot
    assert clip_tokenizer_folder("a/llava") == snapshot / "tokenizer"


def test_templates_are_known_by_their_versions() -> None:
    assert prompt_of(question_of("portrait-1")).startswith("USER: <image>\nDescribe the person")
    assert prompt_of("Why?") == "USER: <image>\nWhy? ASSISTANT:"
    with pytest.raises(ValueError, match="--template portrait-2: unknown; did you mean 'portrait-"):
        question_of("portrait-2")


def test_clip_tokens_are_counted_with_begin_and_end(tmp_path: Path) -> None:
    model = write("sd15", tmp_path / "sd15")
    folder = clip_tokenizer_folder(str(model))
    assert folder == clip_tokenizer_folder(str(folder)) == model / "tokenizer"
    count = ClipLength(folder)
    # The tiny tokenizer has whole words of a few, and letters of all others.
    assert count(["", "portrait", "portrait professional", "abc"]) == [2, 3, 4, 5]
    assert count(["portrait " * 75, "portrait " * 100]) == [MOST_TOKENS, 102]
    assert count([]) == []
    assert {"vocab.json", "merges.txt"} <= set(clip_tokenizer_files(folder))
    with pytest.raises(ValueError, match=r"--clip-tokenizer .*: has no vocab\.json and merges"):
        clip_tokenizer_folder(str(tmp_path))
