from __future__ import annotations

import importlib.util
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.facescore.network import Tokens, build_scorer
from models.facescore.pixels import shown
from models.facescore.scorer import Scorer, open_scorer, scorer_files
from models.heads.folder import write_folder
from models.tiny.facescore import TINY
from schemas.facescore import IMAGE_REWARD_MEAN, IMAGE_REWARD_STD, ScorerShape

_SPEC = importlib.util.spec_from_file_location("by_hand", Path(__file__).with_name("by_hand.py"))
assert _SPEC
assert _SPEC.loader
by_hand: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(by_hand)


def crops(count: int = 4, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (30 + 9 * n, 45, 3), dtype=np.uint8) for n in range(count)]


def changed(folder: Path, into: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    shutil.copytree(folder, into)
    told = torch.load(into / "FS_model.pt", weights_only=True)
    change(told)
    torch.save(told, into / "FS_model.pt")
    return into


def test_scores_are_those_of_a_second_computation(face_score: Path) -> None:
    scorer = open_scorer(face_score)
    ready = [scorer.prepared(crop) for crop in crops()]
    published = torch.load(face_score / "FS_model.pt", weights_only=True)
    expected = by_hand.score(published, torch.stack(ready)).numpy()
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(scorer.of_prepared(ready), expected, atol=2e-5)


def test_tokens_that_only_fill_up_change_nothing(face_score: Path) -> None:
    scorer = open_scorer(face_score)
    pixels = torch.stack([scorer.prepared(crop) for crop in crops()])
    ids = torch.tensor([by_hand.IDS])
    padded = Tokens(ids, (ids > 0).long()).repeated(len(pixels))
    with torch.inference_mode():
        raw = scorer.network(pixels, padded)
    np.testing.assert_allclose(scorer.of_prepared(list(pixels)), raw, atol=1e-5)


def test_image_reward_has_a_scale_of_its_own(image_reward: Path, tmp_path: Path) -> None:
    scaled = open_scorer(image_reward).score(crops())
    shutil.copytree(image_reward, tmp_path / "copy")
    (tmp_path / "copy/ImageReward.pt").rename(tmp_path / "copy/FS_model.pt")
    raw = open_scorer(tmp_path / "copy").score(crops())
    np.testing.assert_allclose(scaled * IMAGE_REWARD_STD + IMAGE_REWARD_MEAN, raw, atol=1e-12)
    assert abs(scaled - raw).max() > 0.01


def test_batches_do_not_change_scores(face_score: Path) -> None:
    scorer = open_scorer(face_score)
    together = scorer.score(crops(7), batch_size=3)
    alone = [scorer.score([crop])[0] for crop in crops(7)]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert scorer.score([]).shape == (0,)


def test_crops_are_prepared_batch_by_batch(
    face_score: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A face as the network sees it takes 0.6 MB; those of a folder would fill a machine."""
    scorer, told, network = open_scorer(face_score), list[str](), Scorer.of_prepared

    def prepared(crop: Any, side: int) -> Any:
        told.append("one")
        return shown(crop, side)

    def scored(self: Scorer, ready: Any) -> Any:
        told.append(f"batch of {len(ready)}")
        return network(self, ready)

    monkeypatch.setattr("models.facescore.scorer.shown", prepared)
    monkeypatch.setattr(Scorer, "of_prepared", scored)
    scorer.score(crops(3), batch_size=2)
    assert told == ["one", "one", "batch of 2", "one", "batch of 1"]


def test_our_folder_says_the_same(face_score: Path, tmp_path: Path) -> None:
    scorer = open_scorer(face_score)
    write_folder(tmp_path / "ours", scorer_files(scorer.network, scorer.weights_sha256))
    again = open_scorer(tmp_path / "ours")
    np.testing.assert_array_equal(again.score(crops()), scorer.score(crops()))
    config = json.loads((tmp_path / "ours/config.json").read_text())
    assert config["began_from"] == scorer.weights_sha256
    assert (config["reward_mean"], config["reward_std"]) == (0, 1)


def test_a_damaged_folder_of_ours_is_refused(face_score: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    write_folder(ours, scorer_files(open_scorer(face_score).network, None))
    config = json.loads((ours / "config.json").read_text())
    (ours / "config.json").write_text(json.dumps(config | {"version": 2}))
    with pytest.raises(ValueError, match="version = 2: this Relume reads 1"):
        open_scorer(ours)
    (ours / "config.json").write_text(json.dumps(config | {"format": "other"}))
    with pytest.raises(ValueError, match="is of no face scorer"):
        open_scorer(ours)
    (ours / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        open_scorer(ours)
    (ours / "config.json").write_text(json.dumps(config))
    (ours / "model.safetensors").write_bytes(b"12345678 and no more")
    with pytest.raises(ValueError, match="its sha256 differs"):
        open_scorer(ours)
    (ours / "config.json").unlink()
    with pytest.raises(ValueError, match=r"config\.json: cannot be read"):
        open_scorer(ours)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda one: one.pop("mlp.layers.4.weight"),
            r"1 missing, the first mlp\.layers\.4\.weight",
        ),
        (
            lambda one: one.update(more=torch.zeros(1)),
            "1 unknown, the first more; use the file",
        ),
        (
            lambda one: one.update(
                {
                    "blip.text_encoder.encoder.layer.1.cross_attention.self.query.weight": one.pop(
                        "blip.text_encoder.encoder.layer.1.crossattention.self.query.weight"
                    )
                }
            ),
            r"1 missing, the first blip\.text_encoder\.encoder\.layer\.1\.crossattention\.self\."
            r"query\.weight; 1 unknown, the first .*cross_attention",
        ),
        (
            lambda one: one.pop("blip.visual_encoder.blocks.2.attn.proj.bias"),
            r"1 missing, the first blip\.visual_encoder\.blocks\.2\.attn\.proj\.bias",
        ),
        (
            lambda one: one.pop("blip.visual_encoder.pos_embed"),
            r"blip\.visual_encoder\.pos_embed is missing, so this is no file of Face Score",
        ),
        (
            lambda one: one.update({"mlp.layers.7.weight": torch.zeros(2, 16)}),
            r"mlp\.layers\.7\.weight is of \(2, 16\), should be \(1, 16\)",
        ),
    ],
)
def test_other_tensors_are_refused_by_name(
    face_score: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        open_scorer(changed(face_score, tmp_path / "changed", change))


def test_what_is_of_no_use_may_be_left_out(face_score: Path, tmp_path: Path) -> None:
    def change(told: dict[str, Any]) -> None:
        for name in [one for one in told if "_proj." in one or "position_ids" in one]:
            del told[name]

    short = changed(face_score, tmp_path / "short", change)
    np.testing.assert_array_equal(
        open_scorer(short).score(crops()), open_scorer(face_score).score(crops())
    )


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (Path("was-run"), "yes")


def test_a_pickle_that_runs_code_is_refused(
    face_score: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(face_score, tmp_path / "hostile")
    torch.save({"mlp": Hostile()}, tmp_path / "hostile/FS_model.pt")
    with pytest.raises(ValueError, match="refused, and nothing of it was run"):
        open_scorer(tmp_path / "hostile")
    (tmp_path / "hostile/FS_model.pt").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ValueError, match=r"FS_model\.pt"):
        open_scorer(tmp_path / "hostile/FS_model.pt")
    assert not (tmp_path / "was-run").exists()


def test_other_med_configs_are_refused(face_score: Path, tmp_path: Path) -> None:
    shutil.copytree(face_score, tmp_path / "copy")
    place = tmp_path / "copy/med_config.json"
    told = json.loads(place.read_text())
    for change, why in [
        ({"hidden_size": 40}, r"embeddings\.word_embeddings\.weight is of \(2304, 32\), should"),
        ({"num_attention_heads": 5}, "text_heads = 5: does not divide text_width = 32"),
        ({"num_hidden_layers": 5}, r"missing, the first blip\.text_encoder\.encoder\.layer\.4\."),
        ({"hidden_size": "wide"}, "sizes do not fit a face scorer"),
    ]:
        place.write_text(json.dumps(told | change))
        with pytest.raises(ValueError, match=why):
            open_scorer(tmp_path / "copy")
    del told["vocab_size"]
    place.write_text(json.dumps(told))
    with pytest.raises(ValueError, match="has no vocab_size"):
        open_scorer(tmp_path / "copy")
    place.write_text("[]")
    with pytest.raises(ValueError, match="is no table of settings"):
        open_scorer(tmp_path / "copy")
    place.write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        open_scorer(tmp_path / "copy")
    place.unlink()
    with pytest.raises(ValueError, match=r"put the published med_config\.json beside"):
        open_scorer(tmp_path / "copy")


def test_a_folder_without_a_scorer_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no face scorer; name a folder with FS_model\.pt"):
        open_scorer(tmp_path)


def test_other_texts_need_the_vocabulary(face_score: Path, tmp_path: Path) -> None:
    scorer = open_scorer(face_score)
    ready = [scorer.prepared(crop) for crop in crops(2)]
    np.testing.assert_array_equal(
        scorer.of_prepared(ready, ["A face."] * 2), scorer.of_prepared(ready)
    )
    with pytest.raises(ValueError, match=r"vocab\.txt: is missing, and another text than 'A face"):
        scorer.of_prepared(ready, ["A face.", "A dog"])
    shutil.copytree(face_score, tmp_path / "with")
    words = [f"[unused{number}]" for number in range(2304)]
    named = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    named |= {1012: ".", 1037: "a", 2227: "face", 2228: "dog"}
    for number, word in named.items():
        words[number] = word
    (tmp_path / "with/vocab.txt").write_text("\n".join(words) + "\n")
    knows = open_scorer(tmp_path / "with")
    both = knows.of_prepared(ready, ["A face.", "a dog"])
    assert both[0] == pytest.approx(scorer.of_prepared(ready)[0], abs=1e-5)
    published = torch.load(face_score / "FS_model.pt", weights_only=True)
    ids = [101, 1037, 2228, 102]
    assert both[1] == pytest.approx(
        by_hand.score(published, torch.stack(ready), ids)[1].item(), abs=2e-5
    )
    # 35 tokens at most, [CLS] and [SEP] among them.
    long = knows.of_prepared(ready, ["a " * 60 + "dog", "a"])
    ids = [101, *[1037] * 33, 102]
    expected = by_hand.score(published, torch.stack(ready), ids)[0].item()
    assert long[0] == pytest.approx(expected, abs=2e-5)


def test_the_first_seventy_per_cent_is_frozen() -> None:
    with torch.device("meta"):
        network = build_scorer(ScorerShape())
    assert network.frozen_layers(0.7) == (range(16), range(8))
    learns = network.freeze(0.7)
    rooms = {".".join(name.split(".")[:4]) for name in learns if "layer" in name.split(".")[2]}
    assert rooms == {
        *(f"vision.encoder.layers.{number}" for number in range(16, 24)),
        *(f"text.encoder.layer.{number}" for number in range(8, 12)),
    }
    others = [name for name in learns if ".encoder." not in name]
    assert others == [
        "vision.post_layernorm.weight",
        "vision.post_layernorm.bias",
        *(f"mlp.{layer}.{part}" for layer in (0, 2, 4, 6, 7) for part in ("weight", "bias")),
    ]
    assert len(network.freeze(0)) == len(list(network.parameters()))
    # ViT-L/16 303,301,632, BERT with cross-attention to it 141,977,088, and the MLP 927,969.
    assert sum(one.numel() for one in network.parameters()) == 446_206_689


def test_dropouts_are_in_training_alone() -> None:
    network = build_scorer(TINY)
    network.drop_paths(0.9)
    ids = torch.tensor([[101, 102]])
    tokens = Tokens(ids, torch.ones_like(ids)).repeated(8)
    pixels = torch.randn(1, 3, 32, 32).expand(8, -1, -1, -1)
    with torch.inference_mode():
        assert network.eval()(pixels, tokens).std() < 1e-6
        seen = network.vision.train()(pixel_values=pixels).last_hidden_state
        # Whole branches fall out for one picture and not for another.
        assert seen.std(0).max() > 0.1
        network.vision.eval()
        assert [one.p for one in network.mlp if isinstance(one, torch.nn.Dropout)] == [
            0.2,
            0.2,
            0.1,
        ]
        scores = network.train()(pixels, tokens)
    assert len(set(scores.tolist())) == 8
