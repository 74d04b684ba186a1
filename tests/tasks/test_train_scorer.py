"""A scorer's training on blurred pairs: it learns, it goes on exactly, and it refuses."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.facescore.learning import chance_of, ranking_loss
from models.facescore.scorer import open_scorer
from models.stable_diffusion.inpainting import Inpainter, Painted
from schemas.audit import Box
from schemas.score_train import ScoreTrainConfig, score_train_config
from schemas.training import EpochEnded, LeftOut, TrainingEnded
from shards.reader import Reader
from tasks.facescore.pairs import ScorePairs, mask_box
from tasks.train_scorer import ScoreCourse, ScoreJob
from tasks.training.course import Position
from tasks.training.processes import agree, train_here
from tasks.training.ranks import Ranks
from tasks.training.stand_ins import Unusable
from tests.blurred_pairs import make_blurred_pairs
from workflows.cli import main

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    make_blurred_pairs(folder, 100, 1.0)
    return folder


@pytest.fixture
def job(folder: Path, tmp_path: Path) -> Callable[..., ScoreJob]:
    def make(run: str = "run", **over: Any) -> ScoreJob:
        config = score_train_config(folder / "preset.toml", over)
        return ScoreJob(config=config, dataset=folder / "pairs", run=tmp_path / run)

    return make


def trained(job: ScoreJob, stop: Callable[[], bool] = lambda: False) -> list[Any]:
    agree(job, 1)
    return list(train_here(job, Ranks(), stop))


def weights(run: Path) -> Mapping[str, torch.Tensor]:
    return load_file(run / "scorer/model.safetensors")


def test_it_learns_to_prefer_the_good_face(job: Callable[..., ScoreJob]) -> None:
    """Held-out pairs are told apart more often, at a lower ranking loss, after 30 steps."""
    mine = job(epochs=5)
    before = ScoreCourse(mine, Ranks(), CPU).measure(5)
    events = trained(mine)
    after = [one.measured for one in events if isinstance(one, EpochEnded)][-1]
    assert isinstance(events[-1], TrainingEnded)
    assert events[-1].how == "finished"
    assert before is not None
    assert before.values["pairs"] == after["pairs"] > 25
    assert before.values["accuracy"] < 0.9 < 0.95 < after["accuracy"]
    assert after["loss"] < 0.75 * before.values["loss"]
    assert after["accuracy_low"] < after["accuracy"] <= after["accuracy_high"]
    # The scorer that is left is the one that was measured.
    scorer = open_scorer(mine.run / "scorer")
    pairs = ScorePairs(mine.dataset, "validation", mine.config.data, 32)
    told = [scorer.of_prepared(list(pairs.pair(number))) for number in range(len(pairs))]
    assert np.mean([good > bad for good, bad in told]) == pytest.approx(after["accuracy"])
    config = json.loads((mine.run / "scorer/config.json").read_text())
    record = json.loads((mine.run / "run.json").read_text())
    assert config["began_from"] == record["inputs"]["scorer"]
    assert "scorer" not in record["config"]


def test_the_first_layers_stay_as_they_were(job: Callable[..., ScoreJob], folder: Path) -> None:
    mine = job(epochs=1)
    trained(mine)
    before = open_scorer(folder / "scorer").network
    found = weights(mine.run)
    moved = {name for name, one in before.state_dict().items() if not torch.equal(one, found[name])}
    assert moved == {name for name in before.freeze(0.7) if not name.endswith("key.bias")} | {
        # A softmax does not see what is added to all its inputs, but for rounding.
        name
        for name in moved
        if name.endswith("key.bias")
    }
    # 0.7 of three layers of vision are two; of four of text, two.
    frozen = set(before.state_dict()) - moved
    assert any(name.startswith("vision.encoder.layers.1.") for name in frozen)
    assert not any(name.startswith("vision.encoder.layers.2.") for name in frozen - _biases(frozen))
    assert any(name.startswith("text.encoder.layer.1.") for name in frozen)


def _biases(names: set[str]) -> set[str]:
    return {name for name in names if name.endswith("key.bias")}


def test_it_goes_on_exactly_where_it_stopped(job: Callable[..., ScoreJob]) -> None:
    over = {"epochs": 2, "record": {"save_every_steps": 2}}
    whole, cut = job("whole", **over), job("cut", **over)
    trained(whole)
    asked = iter([False, False, False, True])
    events = trained(cut, lambda: next(asked))
    assert events[-1].how == "stopped"
    assert events[-1].steps_done == 3
    events = trained(cut)
    assert events[-1].how == "finished"
    for name, one in weights(whole.run).items():
        assert torch.equal(one, weights(cut.run)[name]), name
    with pytest.raises(ValueError, match=r"was begun with other settings.*frozen: 0\.7, now 0\.5"):
        trained(replace(cut, config=replace(cut.config, frozen=0.5)))


def test_parts_of_a_batch_are_the_same_gradient(job: Callable[..., ScoreJob]) -> None:
    """Without dropouts a batch of ten in two parts of five moves the weights alike."""
    moved = []
    for parts in (1, 2):
        course = ScoreCourse(job(accumulation=parts), Ranks(), CPU)
        for module in course.learner.network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        batch = next(course.batches(course.legs()[0], range(2), 0))
        losses = course.step(course.legs()[0], batch)
        moved.append((float(losses["loss"]), float(losses["gradient scorer"])))
    assert moved[0] == pytest.approx(moved[1], rel=1e-4)


def test_eq_5_is_the_mean_log_of_a_sigmoid() -> None:
    good, bad = torch.tensor([1.5, -0.2, 3.0]), torch.tensor([0.5, 0.8, 3.0])
    expected = -sum(
        math.log(1 / (1 + math.exp(-(one - other))))
        for one, other in zip(good.tolist(), bad.tolist(), strict=True)
    ) / len(good)
    assert float(ranking_loss(good, bad)) == pytest.approx(expected, rel=1e-6)
    # Its slope is the chance that the bad one is preferred, over the number of pairs.
    apart = (good - bad).tolist()
    good.requires_grad_()
    ranking_loss(good, bad).backward()
    slopes = [-1 / (1 + math.exp(one)) / 3 for one in apart]
    assert good.grad is not None
    assert good.grad.tolist() == pytest.approx(slopes, rel=1e-5)
    # No overflow where the scores are far apart.
    assert float(ranking_loss(torch.tensor([-500.0]), torch.tensor([500.0]))) == 1000


def test_dropouts_are_of_the_step_and_disturb_nobody() -> None:
    torch.manual_seed(1)
    outside = torch.rand(1)
    torch.manual_seed(1)
    with chance_of(7, CPU):
        inside = torch.rand(1)
    assert torch.equal(torch.rand(1), outside)
    with chance_of(7, CPU):
        assert torch.equal(torch.rand(1), inside)


def test_the_rate_falls_to_nothing_or_stays(job: Callable[..., ScoreJob]) -> None:
    config = ScoreTrainConfig(scorer="x", epochs=1)
    assert config.optimiser.learning_rate == 1e-5
    assert (config.batch_size, config.frozen) == (64, 0.7)

    def rates(count: int, **optimiser: Any) -> list[float]:
        mine = job(epochs=2, optimiser={"learning_rate": 1e-5} | optimiser)
        course = ScoreCourse(mine, Ranks(), CPU)
        end = mine.num_steps(1)
        return [
            course.learning_rate(Position(epoch=0, step=0, steps_done=one, images_seen=0))
            for one in (*range(count), end // 2, end)
        ]

    assert rates(1) == pytest.approx([1e-5, 5e-6, 0], abs=1e-12)
    found = rates(6, warmup_steps=4, decay="constant")
    assert found == pytest.approx([2.5e-6, 5e-6, 7.5e-6, *[1e-5] * 5])


def test_the_preset_has_the_papers_numbers() -> None:
    config = score_train_config(Path("configs/facescore.toml"), {})
    assert (config.batch_size, config.frozen, config.optimiser.learning_rate) == (64, 0.7, 1e-5)


def test_settings_that_do_not_fit_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="accumulation = 3: does not divide batch_size = 64"):
        ScoreTrainConfig(scorer="x", epochs=1, accumulation=3)
    (tmp_path / "empty.toml").write_text("")
    with pytest.raises(ValueError, match=r"has no \[facescore\] section"):
        score_train_config(tmp_path / "empty.toml", {})


def test_the_face_is_where_the_mask_is_white(job: Callable[..., ScoreJob]) -> None:
    mask = np.zeros((20, 30, 3), np.uint8)
    assert mask_box(mask) is None
    mask[4:9, 7:20] = 255
    assert mask_box(mask) == Box(x=7, y=4, width=13, height=5)
    mine = job()
    faces = ScorePairs(mine.dataset, "train", mine.config.data, 32)
    whole = ScorePairs(mine.dataset, "train", replace(mine.config.data, region="picture"), 32)
    good, bad = faces.pair(0)
    assert good.shape == bad.shape == (3, 32, 32)
    # Blurred all over; in the whole picture only in the middle.
    assert (good - bad).abs().mean() > 2 * (whole.pair(0)[0] - whole.pair(0)[1]).abs().mean() > 0


def damaged(folder: Path, into: Path, stage: str, split: str = "train", most: int = 1) -> Path:
    """The dataset with some pictures of a split that cannot be read."""
    shutil.copytree(folder, into)
    with Reader(into, split) as reader:
        rows = [reader.row(number) for number in range(min(most, len(reader)))]
    for row in rows:
        with (into / f"{row['shard']}.tar").open("r+b") as file:
            file.seek(row[f"{stage}_offset"] + 60)
            file.write(b"XXXX")
    return into


def test_a_pair_that_cannot_be_read_stops_or_is_stood_in_for(
    job: Callable[..., ScoreJob], tmp_path: Path
) -> None:
    mine = job(epochs=1)
    broken = damaged(mine.dataset, tmp_path / "broken", "bad")
    with pytest.raises(Unusable, match=r"the bad cannot be read: .*not as published"):
        trained(replace(mine, dataset=broken))
    skips = replace(mine.config, data=replace(mine.config.data, damaged="skip"))
    events = trained(replace(mine, dataset=broken, config=skips, run=tmp_path / "skips"))
    assert len([one for one in events if isinstance(one, LeftOut)]) <= 1
    assert events[-1].how == "finished"


def test_held_out_pairs_that_cannot_be_read_are_told(
    job: Callable[..., ScoreJob], tmp_path: Path
) -> None:
    mine = job(epochs=1)
    broken = damaged(mine.dataset, tmp_path / "one", "good", "validation")
    course = ScoreCourse(replace(mine, dataset=broken), Ranks(), CPU)
    with pytest.raises(Unusable, match="the good cannot be read"):
        course.measure(1)
    skips = replace(mine.config, data=replace(mine.config.data, damaged="skip"))
    course = ScoreCourse(replace(mine, dataset=broken, config=skips), Ranks(), CPU)
    found = course.measure(1)
    assert found is not None
    assert found.alarms == (
        f"1 of {len(course._held_out)} pairs of validation cannot be read, and were not measured",
    )
    assert found.values["pairs"] == len(course._held_out) - 1
    none = damaged(mine.dataset, tmp_path / "none", "good", "validation", 999)
    course = ScoreCourse(replace(mine, dataset=none, config=skips), Ranks(), CPU)
    with pytest.raises(ValueError, match=r"none of \d+ pairs of validation can be read"):
        course.measure(1)
    none = damaged(mine.dataset, tmp_path / "all", "bad", "train", 999)
    with pytest.raises(Unusable, match="and so with 7 before it"):
        trained(replace(mine, dataset=none, config=skips, run=tmp_path / "run-all"))


def test_pairs_that_show_no_face_are_named(
    job: Callable[..., ScoreJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = job()
    faces = ScorePairs(mine.dataset, "train", mine.config.data, 32)
    picture = np.zeros((20, 20, 3), np.uint8)
    corner = picture.copy()
    corner[0, 0] = 255
    for shown, why in [
        ({"good": picture, "bad": picture[:9], "mask": picture}, "of different sizes"),
        ({"good": picture, "bad": picture, "mask": picture[:9]}, "the mask is of another size"),
        ({"good": picture, "bad": picture, "mask": picture}, "the mask shows no face"),
    ]:
        monkeypatch.setattr(faces, "_picture", lambda _, stage, shown=shown: shown[stage])
        with pytest.raises(Unusable, match=why):
            faces.pair(0)
    still = replace(mine.config.data, margin_px=0)
    faces = ScorePairs(mine.dataset, "train", still, 32)
    told = {"good": picture, "bad": picture, "mask": corner}
    monkeypatch.setattr(faces, "_picture", lambda _, stage: told[stage])
    with pytest.raises(Unusable, match="hardly any face is left"):
        faces.pair(0)


def test_a_dataset_without_held_out_pairs_is_refused(
    job: Callable[..., ScoreJob], folder: Path, tmp_path: Path
) -> None:
    words = [str(folder / "preset.toml"), "--data", str(folder / "faces"), "--here"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Inpainter,
            "paint",
            lambda _, shown, *rest: Painted((shown / 300).astype(np.float32), [False] * len(shown)),
        )
        out = ["--out", str(tmp_path / "train"), "--split", "train"]
        assert main(["facepairs", *words, *out]) == 0
    with pytest.raises(ValueError, match="has no pairs of validation, on which a scorer is judged"):
        ScoreCourse(replace(job(batch_size=1), dataset=tmp_path / "train"), Ranks(), CPU)


def test_other_datasets_are_refused(
    job: Callable[..., ScoreJob], folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        ValueError, match="has no pictures of stage good; a scorer is trained on pairs of relume"
    ):
        agree(replace(job(), dataset=folder / "faces"), 1)
    with pytest.raises(ValueError, match="pictures of each side do not fill a batch of 999"):
        job(batch_size=999).num_steps(1)
    with pytest.raises(ValueError, match="holds no face scorer"):
        agree(job(scorer=str(tmp_path)), 1)


def test_a_run_is_made_by_the_settings_beside_the_weights_too(
    job: Callable[..., ScoreJob], folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "scorer", tmp_path / "scorer")
    mine = job(scorer=str(tmp_path / "scorer"))
    before = mine.record(1)
    place = tmp_path / "scorer/med_config.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"num_attention_heads": 1}))
    after = mine.record(1)
    changed = {key for key, one in after.inputs.items() if one != before.inputs[key]}
    assert changed == {"scorer_config"}
    assert after.fingerprint() != before.fingerprint()


def test_the_steps_and_shards_are_known_beforehand(job: Callable[..., ScoreJob]) -> None:
    mine = job(epochs=3)
    course = ScoreCourse(mine, Ranks(), CPU)
    assert mine.num_steps(1) == 3 * course.legs()[0].num_steps
    assert mine.num_steps(2) == 3 * (course.num_samples // 20)
    assert all(shard.startswith("train/") for shard in mine.shards())
    assert mine.reading(Path("there")).dataset == Path("there")
    # Every second epoch, and the last one.
    every = replace(mine.config, validation=replace(mine.config.validation, every_epochs=2))
    course = ScoreCourse(replace(mine, config=every), Ranks(), CPU)
    assert [course.measure(epoch) is None for epoch in (1, 2, 3)] == [True, False, False]
