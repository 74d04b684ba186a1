"""A guidance step on tiny models: what is shown, what changes, what is learned."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.stable_diffusion.parts import find_parts, load_parts
from models.tiny.write import write
from schemas.guide import GuideConfig
from schemas.settings import resolve
from tasks.guidance.learner import GuideLearner
from tasks.guidance.pairs import GuideBatch, GuideBatches, GuidePairs, stacked
from tasks.lora.sampling import PhotoOrder, held_out_slots
from tasks.training.ranks import Ranks
from tasks.training.stand_ins import Unusable
from tests.face_pictures import make_small_pairs, with_unit_latents

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    for kind in ("deepface-onnx", "sd15", "dino"):
        write(kind, folder / kind)
    with_unit_latents(folder / "sd15", folder / "unit")
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    return make_small_pairs(tmp_path_factory.mktemp("pairs"), tiny)


@pytest.fixture
def config(tiny: Path) -> GuideConfig:
    return resolve(GuideConfig, tables(tiny), "test")


def tables(tiny: Path, **more: Any) -> dict[str, Any]:
    return {
        "model": str(tiny / "unit"),
        "data": {"batch_size": 2, "accumulation": 2, "loader_workers": 0},
        "optimiser": {"learning_rate": 1e-3},
        "numerics": {"precision": "float32", "checkpointing": False, "device": "cpu"},
        **more,
    }


Learner = Callable[[GuideConfig], GuideLearner]


@pytest.fixture
def learner(tiny: Path) -> Learner:
    def make(config: GuideConfig) -> GuideLearner:
        dtype = getattr(torch, config.numerics.precision)
        checkpoint = find_parts(str(tiny / "unit"))
        parts = load_parts(checkpoint, dtype=dtype, unet_dtype=torch.float32)
        return GuideLearner(config, parts, Ranks(), CPU)

    return make


def order(count: int, **more: Any) -> PhotoOrder:
    given = {"batch_size": 4, "seed": 3, "text_dropout": 0.2, "timesteps": 500}
    return PhotoOrder(count=count, flip=False, **{**given, **more})


def batch_of(pairs: Path, step: int = 0, **more: Any) -> GuideBatch:
    faces = GuidePairs(pairs, "train")
    made = order(len(faces), **more)
    found = GuideBatches(faces, made, slice(0, 4), damaged="stop")[divmod(step, made.num_steps)]
    assert isinstance(found, GuideBatch)
    return found


def test_a_batch_is_of_pairs_and_their_masks(pairs: Path) -> None:
    batch = batch_of(pairs)
    assert batch.good.shape == batch.bad.shape == (4, 3, 64, 64)
    assert batch.mask.shape == (4, 1, 64, 64)
    outside = (batch.mask == 0).expand_as(batch.good)
    assert torch.equal(batch.good[outside], batch.bad[outside])
    assert not torch.equal(batch.good[~outside], batch.bad[~outside])
    assert batch.texts == ["A portrait of somebody at the sea"] * 4
    assert [len(one) for one in batch.pieces(3)] == [3, 1]
    assert torch.equal(torch.cat([one.bad for one in batch.pieces(3)]), batch.bad)


def test_steps_of_noise_are_the_papers(pairs: Path) -> None:
    """Steps are uniform from 1 to T_end, which networks count from 0; a fifth has no text."""
    slots = [slot for step in range(500) for slot in order(2000).batch(0, step)]
    steps = np.array([slot.timestep for slot in slots])
    assert (steps.min(), steps.max()) == (0, 499)
    assert abs(steps.mean() - 249.5) < 10
    assert abs(np.mean([slot.without_text for slot in slots]) - 0.2) < 0.03
    assert max(one.timestep for one in order(40, timesteps=250).batch(0, 1)) < 250


def test_both_pictures_have_the_same_noise(
    learner: Learner, config: GuideConfig, pairs: Path
) -> None:
    made, batch = learner(config), batch_of(pairs)
    pair = made.noisy_pair(batch)
    schedule, steps = made.parts.schedule, pair.timesteps
    noises = [
        (schedule.add_noise(clean, pair.noise, steps) - schedule.add_noise(clean, 0 * clean, steps))
        for clean in (pair.good, pair.bad)
    ]
    assert torch.allclose(*noises, atol=1e-5)
    assert pair.good.shape == (4, 4, 8, 8)
    assert set(pair.mask.unique().tolist()) == {0.0, 1.0}
    # Two of different pairs have different noise.
    assert not torch.allclose(pair.noise[0], pair.noise[1])
    # An unchanged picture: the student is the teacher, so nothing is to be learned.
    same = replace_pictures(batch)
    assert float(made.losses(same).detach().max()) < 1e-9
    assert float(made.losses(batch).detach().min()) > 1e-9


def replace_pictures(batch: GuideBatch) -> GuideBatch:
    return replace(batch, bad=batch.good)


def test_drawn_latents_are_drawn_alike(learner: Learner, config: GuideConfig, pairs: Path) -> None:
    drawn = replace(config, data=replace(config.data, latents="drawn"))
    batch = replace_pictures(batch_of(pairs))
    pair, mode = learner(drawn).noisy_pair(batch), learner(config).noisy_pair(batch)
    assert torch.equal(pair.good, pair.bad)
    assert not torch.allclose(pair.good, mode.good)


def test_texts_are_left_out_where_the_slot_says(
    learner: Learner, config: GuideConfig, pairs: Path
) -> None:
    made = learner(config)
    without = made.noisy_pair(batch_of(pairs, text_dropout=1.0)).texts
    with_text = made.noisy_pair(batch_of(pairs, text_dropout=0.0)).texts
    assert torch.equal(without[0], without[1])
    assert not torch.allclose(without, with_text)


@pytest.mark.parametrize("trained", ["attn1", "all"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_changes_the_student_alone(
    learner: Learner, config: GuideConfig, pairs: Path, trained: str, precision: str
) -> None:
    numerics = replace(config.numerics, precision=precision)  # type: ignore[arg-type]
    made = learner(replace(config, trained=trained, numerics=numerics))  # type: ignore[arg-type]
    students = {name: one.detach().clone() for name, one in made.student.named_parameters()}
    teachers = {name: one.detach().clone() for name, one in made.teacher.named_parameters()}
    told = made.step(batch_of(pairs).pieces(2))
    assert told["loss"] > 0
    assert told["gradient unet"] > 0
    for name, one in made.teacher.named_parameters():
        assert torch.equal(one, teachers[name])
    changed = {
        name
        for name, one in made.student.named_parameters()
        if not torch.equal(one, students[name])
    }
    assert changed <= set(made.trained)
    if trained == "attn1":
        assert all(".attn1." in name for name in changed)
    assert len(changed) > 0.8 * len(made.trained)
    # Trained layers are float32; frozen ones are one tensor in both networks.
    assert {one.dtype for one in made.trained.values()} == {torch.float32}
    of_teacher = dict(made.teacher.named_parameters())
    for name, one in made.student.named_parameters():
        assert (one is of_teacher[name]) is (name not in made.trained)


def test_pieces_add_up_to_the_whole_batch(
    learner: Learner, config: GuideConfig, pairs: Path
) -> None:
    batch, found = batch_of(pairs), []
    for size in (4, 2, 1):
        made = learner(config)
        told = made.step(batch.pieces(size))
        found.append((float(told["loss"]), float(told["gradient unet"])))
    assert np.allclose(found, found[0], rtol=1e-3)


def test_checkpointing_changes_nothing(
    learner: Learner, config: GuideConfig, pairs: Path, tiny: Path
) -> None:
    """The same gradient, through the UNet and through the decoder."""
    dino = {"kind": "dino", "model": str(tiny / "dino")}
    norms = []
    for checkpointing in (False, True):
        numerics = {"precision": "float32", "checkpointing": checkpointing, "device": "cpu"}
        settings = tables(tiny, distance=dino, numerics=numerics)
        told = learner(resolve(GuideConfig, settings, "test")).step(batch_of(pairs).pieces(2))
        norms.append(float(told["gradient unet"]))
    assert norms[0] > 0
    assert np.isclose(norms[0], norms[1], rtol=1e-4)


@pytest.mark.parametrize(
    ("trained", "rate", "steps", "least"),
    # Self-attention alone, as the paper has it, learns less and takes longer.
    [("all", 1e-3, 30, 0.93), ("attn1", 5e-3, 90, 0.97)],
)
def test_what_is_learned_holds_for_other_pairs(
    learner: Learner, pairs: Path, tiny: Path, trained: str, rate: float, steps: int, least: float
) -> None:
    """At a fixed seed and number of steps, the loss of held-out pairs falls."""
    optimiser = {"learning_rate": rate, "weight_decay": 0.0}
    settings = tables(tiny, trained=trained, optimiser=optimiser)
    made = learner(resolve(GuideConfig, settings, "test"))
    others = GuidePairs(pairs, "validation")
    slots = held_out_slots(len(others), 0, 500)
    held_out = stacked(others, [(slot, others.pair(slot.sample)) for slot in slots], [])
    before = float(made.held_out_losses([held_out])[0].mean())
    for step in range(steps):
        made.step(batch_of(pairs, step).pieces(4))
    after = float(made.held_out_losses([held_out])[0].mean())
    assert after < least * before, (before, after)


@pytest.mark.parametrize("trained", ["attn1", "all"])
def test_the_student_nears_the_teacher_by_dino(
    learner: Learner, pairs: Path, tiny: Path, trained: str
) -> None:
    """The distance in features of decoded faces falls on the pairs that are shown."""
    settings = tables(
        tiny,
        trained=trained,
        distance={"kind": "dino", "model": str(tiny / "dino"), "tokens": "all", "measure": "l2"},
        optimiser={"learning_rate": 1e-3, "weight_decay": 0.0},
    )
    made, batch = learner(resolve(GuideConfig, settings, "test")), batch_of(pairs)
    losses = [float(made.step([batch])["loss"]) for _ in range(12)]
    assert losses[-1] < losses[0], losses


def test_a_learner_continues_exactly(learner: Learner, config: GuideConfig, pairs: Path) -> None:
    one, other = learner(config), learner(config)
    one.step(batch_of(pairs, 0).pieces(2))
    other.load_state(copy.deepcopy(one.state()))
    for each in (one, other):
        each.step(batch_of(pairs, 1).pieces(2))
    for name, tensor in one.trained.items():
        assert torch.equal(tensor, other.trained[name]), name


def test_pairs_that_cannot_be_read_are_told_or_left_out(
    pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = GuidePairs(pairs, "train")
    read = faces._reader.read

    def broken(position: int, stage: str, **more: Any) -> bytes:
        if position == broken.position:  # type: ignore[attr-defined]
            raise ValueError("cut")
        return read(position, stage, **more)  # type: ignore[arg-type]

    slots = order(len(faces)).batch(0, 0)
    broken.position = int(faces.positions[slots[0].sample])  # type: ignore[attr-defined]
    monkeypatch.setattr(faces._reader, "read", broken)
    stopped = GuideBatches(faces, order(len(faces)), slice(0, 4), damaged="stop")[(0, 0)]
    assert isinstance(stopped, Unusable)
    assert "the good cannot be read: cut" in str(stopped)
    skipped = GuideBatches(faces, order(len(faces)), slice(0, 4), damaged="skip")[(0, 0)]
    assert isinstance(skipped, GuideBatch)
    assert skipped.left_out == [(faces.id(slots[0].sample), "the good cannot be read: cut")]
    assert skipped.slots[0].sample == (slots[0].sample + 1) % len(faces)
    monkeypatch.setattr(faces._reader, "read", lambda *_, **__: b"")
    nothing = GuideBatches(faces, order(len(faces)), slice(0, 4), damaged="skip")[(0, 0)]
    assert isinstance(nothing, Unusable)
    assert "and so with 7 before it" in str(nothing)
