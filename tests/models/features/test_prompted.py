"""Scores of pictures with prompts: CLIP-Score, HPS v2.1, ImageReward, on tiny published files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.facescore.image_reward import load_image_reward
from models.features.clip import load_clip_score
from models.features.hps import FILE, load_hps
from models.features.open_clip import clip_model
from models.features.vision_hub import text_files
from models.tiny.write import write
from tests.models.facescore import by_hand as by_hand_of_blip
from tests.models.features import hps_by_hand

PROMPTS = ["A portrait of Anna Berg", "a cat &amp; a  dog", "portrait " * 90, "x"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompted")
    for kind in ("clip", "hps", "imagereward"):
        write(kind, folder / kind)
    return folder


def pictures() -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    sizes = ((96, 80, 3), (64, 64, 3), (32, 32, 3), (30, 100, 3))
    return [rng.integers(0, 256, size, dtype=np.uint8) for size in sizes]


def load(kind: str, published: Path) -> Any:
    loaders: dict[str, Callable[[], Any]] = {
        "clip": lambda: load_clip_score(str(published / "clip")),
        "hps": lambda: load_hps(published / "hps"),
        "imagereward": lambda: load_image_reward(published / "imagereward"),
    }
    return loaders[kind]()


@pytest.mark.parametrize("kind", ["clip", "hps", "imagereward"])
def test_a_batch_is_what_each_is_alone(kind: str, published: Path) -> None:
    network = load(kind, published)
    shown = [network.prepared(picture) for picture in pictures()]
    found = network.of_prepared(shown, PROMPTS)
    assert found.shape == (4, 2)
    assert np.ptp(found[:, 0]) > 0.1
    # Of the third prompt only the first tokens are read, and it is said.
    assert found[:, 1].tolist() == [0, 0, 1, 0]
    alone = [network.of_prepared([one], [text]) for one, text in zip(shown, PROMPTS, strict=True)]
    np.testing.assert_allclose(np.concatenate(alone), found, atol=5e-5)
    # Both the picture and the prompt matter.
    other_texts = network.of_prepared(shown, PROMPTS[1:] + PROMPTS[:1])
    other_pictures = network.of_prepared(shown[1:] + shown[:1], PROMPTS)
    assert np.abs(other_texts - found)[:, 0].max() > 1e-3
    assert np.abs(other_pictures - found)[:, 0].max() > 1e-3


def test_clip_score_is_what_transformers_own_processor_leads_to(published: Path) -> None:
    from transformers import CLIPModel, CLIPProcessor

    folder = published / "clip"
    model = CLIPModel.from_pretrained(folder).eval()
    processor = CLIPProcessor.from_pretrained(folder)
    network = load("clip", published)
    shown = [network.prepared(picture) for picture in pictures()]
    given = processor(
        text=PROMPTS,
        images=[Image.fromarray(one) for one in pictures()],
        return_tensors="pt",
        padding=True,
        truncation=True,
    )
    with torch.inference_mode():
        told = model(**given)
        cosines = (told.image_embeds * told.text_embeds).sum(-1)
    assert cosines.min() < 0 < 0.1 < cosines.max()
    found = network.of_prepared(shown, PROMPTS)[:, 0]
    np.testing.assert_allclose(found, np.maximum(100 * cosines.numpy(), 0), rtol=1e-3, atol=1e-3)


def test_hps_is_that_of_a_second_computation(published: Path) -> None:
    network = load("hps", published)
    words = json.loads((published / "hps" / "vocab.json").read_text())
    merges = (published / "hps" / "merges.txt").read_text().split("\n")[1:]
    assert "p o" in merges
    shown = [network.prepared(picture) for picture in pictures()[:2]]
    start, end = words["<|startoftext|>"], words["<|endoftext|>"]
    ids = [
        # Entities and spaces are read as what they stand for, capitals as small letters.
        [start, words["a</w>"], words["&</w>"], words["b</w>"], end],
        # 77 tokens, with the end token as the last.
        [start, *[words["portrait</w>"]] * 75, end],
    ]
    told = torch.load(published / "hps" / FILE, weights_only=True)["state_dict"]
    expected = hps_by_hand.score(told, torch.stack(shown), ids)
    found = network.of_prepared(shown, ["A \n &amp;amp;  B", "Portrait " * 90])
    # Of 100 x a cosine: 1e-6 of the cosine.
    np.testing.assert_allclose(found[:, 0], expected.numpy(), atol=1e-4)
    assert expected.abs().min() > 0.1


def test_hps_sees_the_whole_picture_on_black(published: Path) -> None:
    network = load("hps", published)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    spread = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)

    def levels(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        square = network.prepared(picture) * spread + mean
        assert square.shape == (3, 32, 32)
        return np.asarray(square.permute(1, 2, 0).numpy() * 255)

    # Of the network's own size: as it is, with one more black line below than above.
    picture = pictures()[2][:29]
    whole = levels(picture)
    np.testing.assert_allclose(whole[1:30], picture, atol=1e-3)
    assert np.abs(whole[[0, 30, 31]]).max() < 1e-3
    # Made smaller: 100 x 30 becomes 32 x 10, in the middle.
    grey = levels(np.full((30, 100, 3), 128, np.uint8))
    np.testing.assert_allclose(grey[11:21], 128, atol=1e-2)
    assert np.abs(grey[:11]).max() < 1e-3
    assert np.abs(grey[21:]).max() < 1e-3
    # Smoothed while it shrinks, and not cut to what levels can be.
    striped = np.zeros((320, 320, 3), np.uint8)
    striped[:, ::2] = 255
    np.testing.assert_allclose(levels(striped)[:, 4:-4], 127.5, atol=1)
    step = np.zeros((320, 320, 3), np.uint8)
    step[:, 160:] = 255
    assert levels(step).max() > 256
    assert levels(step).min() < -1
    # Narrower than a pixel of the square.
    assert levels(np.full((2, 300, 3), 255, np.uint8)).max() > 200


def test_image_reward_is_that_of_a_second_computation(published: Path) -> None:
    network = load("imagereward", published)
    told = torch.load(published / "imagereward" / "ImageReward.pt", weights_only=True)
    shown = [network.prepared(picture) for picture in pictures()[:2]]
    words = (published / "imagereward" / "vocab.txt").read_text().split("\n")
    ids = [101, words.index("a"), words.index("portrait"), words.index("of"), words.index("b")]
    expected = by_hand_of_blip.score(told, torch.stack(shown), [*ids, 102])
    scaled = (expected - 0.16717362830052426) / 1.0333394966054072
    found = network.of_prepared(shown, ["A portrait  of B"] * 2)
    np.testing.assert_allclose(found[:, 0], scaled.numpy(), atol=1e-4)
    assert np.ptp(scaled.numpy()) > 0.01


def test_a_range_is_never_guessed(published: Path) -> None:
    for kind in ("clip", "hps", "imagereward"):
        with pytest.raises(ValueError, match="should be uint8"):
            load(kind, published).prepared(pictures()[0] / 255)


def changed(published: Path, into: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    shutil.copytree(published / "hps", into)
    told = torch.load(into / FILE, weights_only=True)
    change(told)
    torch.save(told, into / FILE)
    return into


def renamed(told: dict[str, Any]) -> None:
    weights = told["state_dict"]
    weights["visual.transformer.blocks.1.ln_1.bias"] = weights.pop(
        "visual.transformer.resblocks.1.ln_1.bias"
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda told: told.pop("state_dict"), f"{FILE}: has no state_dict; use the file as its"),
        (
            renamed,
            r"1 missing, the first visual\.transformer\.resblocks\.1\.ln_1\.bias; 1 unknown, the "
            r"first visual\.transformer\.blocks\.1\.ln_1\.bias",
        ),
        (lambda told: told["state_dict"].pop("logit_scale"), "1 missing, the first logit_scale"),
        (
            lambda told: told["state_dict"].update(score_predictor=torch.zeros(1)),
            "1 unknown, the first score_predictor",
        ),
        (
            lambda told: told["state_dict"].pop("visual.proj"),
            r"visual\.proj is missing, so this is no file of an OpenCLIP",
        ),
        (
            lambda told: told["state_dict"].update(text_projection=torch.zeros(128, 23)),
            r"text_projection is of \(128, 23\), which does not fit the others",
        ),
        (
            lambda told: told["state_dict"].update({"token_embedding.weight": torch.zeros(9, 127)}),
            "transformer has 127 features, which are no whole heads of 64; this is another",
        ),
        (
            lambda told: told["state_dict"].update({"visual.conv1.weight": torch.zeros(160)}),
            r"visual\.conv1\.weight is of \(160,\), so this is no file of an OpenCLIP",
        ),
        (lambda told: told.update(state_dict=[1]), "holds no plain table of tensors"),
    ],
)
def test_other_layouts_are_refused_by_name(
    change: Callable[[dict[str, Any]], object], why: str, published: Path, tmp_path: Path
) -> None:
    place = changed(published, tmp_path / "copy", change)
    with pytest.raises(ValueError, match=why) as told:
        load_hps(place)
    assert str(place / FILE) in str(told.value)
    assert "\n" not in str(told.value)


def test_vocabularies_that_are_damaged_or_of_another_network(
    published: Path, tmp_path: Path
) -> None:
    place = Path(shutil.copytree(published / "hps", tmp_path / "copy"))
    words = json.loads((place / "vocab.json").read_text())
    (place / "vocab.json").write_text("{")
    with pytest.raises(ValueError, match=r"copy: vocab\.json and merges\.txt are damaged: "):
        load_hps(place)
    more = words | {"another</w>": len(words)}
    (place / "vocab.json").write_text(json.dumps(more))
    with pytest.raises(ValueError, match=rf"has {len(more)} tokens, {FILE} {len(words)}; get it"):
        load_hps(place)


def test_what_is_missing_is_named_with_the_mend(published: Path, tmp_path: Path) -> None:
    for kind, folder, mend, names in (
        (load_hps, "hps", "HPS", (FILE, "vocab.json", "merges.txt")),
        (
            load_image_reward,
            "imagereward",
            "ImageReward",
            ("ImageReward.pt", "med_config.json", "vocab.txt"),
        ),
    ):
        for name in names:
            place = Path(shutil.copytree(published / folder, tmp_path / f"{folder}-{name}"))
            (place / name).unlink()
            told = rf"{place / name}: is missing; get it with: relume fetch --scorer {mend}$"
            with pytest.raises(ValueError, match=told):
                kind(place)
    with pytest.raises(ValueError, match=r"models--.*large-patch14.*missing there; .*--metrics"):
        load_clip_score()
    assert [path.name for path in text_files(str(published / "clip"))] == [
        *("vocab.json", "merges.txt", "tokenizer_config.json")
    ]


def test_the_published_sizes_are_read_off_the_tensors() -> None:
    """ViT-H/14 without its weights: 986 million parameters, every one of them in its place."""
    vision, text = (1280, 5120, 32, "visual."), (1024, 4096, 24, "")
    shapes: dict[str, tuple[int, ...]] = {
        "visual.class_embedding": (1280,),
        "visual.conv1.weight": (1280, 3, 14, 14),
        "visual.positional_embedding": (257, 1280),
        "visual.proj": (1280, 1024),
        "token_embedding.weight": (49408, 1024),
        "positional_embedding": (77, 1024),
        "text_projection": (1024, 1024),
        "logit_scale": (),
    }
    for name, width in (("visual.ln_pre", 1280), ("visual.ln_post", 1280), ("ln_final", 1024)):
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    for width, inner, layers, room in (vision, text):
        for number in range(layers):
            block = f"{room}transformer.resblocks.{number}."
            for name, wanted, given in (
                ("attn.in_proj_", 3 * width, width),
                ("attn.out_proj.", width, width),
                ("mlp.c_fc.", inner, width),
                ("mlp.c_proj.", width, inner),
            ):
                shapes |= {f"{block}{name}weight": (wanted, given), f"{block}{name}bias": (wanted,)}
            for name in ("ln_1.", "ln_2."):
                shapes |= {f"{block}{name}weight": (width,), f"{block}{name}bias": (width,)}
    with torch.device("meta"):
        told = {name: torch.empty(shape) for name, shape in shapes.items()}
        model = clip_model(told, Path(FILE), vision_head=80, text_head=64)
    assert sum(one.numel() for one in model.parameters()) == 986_109_441
    assert model.config.vision_config.image_size == 224
    heads = (model.config.vision_config, model.config.text_config)
    assert [one.num_attention_heads for one in heads] == [16, 16]
    assert {one.hidden_act for one in heads} == {"gelu"}
