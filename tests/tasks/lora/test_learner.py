"""A step of LoRA training: the noise loss in plain numbers, its formats, and that it learns."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.adapters.lora import lora_tensors
from models.stable_diffusion.encoding import encode_pictures, text_states
from models.stable_diffusion.parts import find_parts, load_parts
from models.tiny.write import write
from schemas.lora import LoraConfig, LoraOptimiserSettings
from schemas.settings import resolve
from tasks.lora.learner import (
    LoraLearner,
    Shown,
    check_precision,
    check_warmup,
)
from tasks.lora.sampling import PhotoOrder, PhotoSlot, held_out_slots
from tasks.training.ranks import Ranks

CPU = torch.device("cpu")
TEXTS = ["a portrait", "an old man", "a child", "", "smiling", "a woman", "hat", "sea"]


@pytest.fixture(scope="session")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("sd15", tmp_path_factory.mktemp("sd15") / "sd15")


def config(model: Path | str = "tiny", **sections: Any) -> LoraConfig:
    tables: dict[str, Any] = {
        "model": str(model),
        "adapter": {"rank": 4, "alpha": 8},
        "optimiser": {"warmup_steps": 0, "learning_rate": 1e-3},
        "numerics": {"precision": "float32", "checkpointing": False},
    }
    for name, section in sections.items():
        tables[name] = tables.get(name, {}) | section
    return resolve(LoraConfig, tables, "test")


@pytest.fixture
def learner(sd15: Path) -> Callable[..., LoraLearner]:
    def make(dtype: torch.dtype = torch.float32, **sections: Any) -> LoraLearner:
        parts = load_parts(find_parts(str(sd15)), dtype=dtype)
        return LoraLearner(config(sd15, **sections), parts, Ranks(), CPU)

    return make


def shown(count: int = 4, begin: int = 0, side: int = 32) -> Shown:
    chance = torch.Generator().manual_seed(begin + 1)
    # Pictures that are more alike than noise: one smooth slope each.
    slopes = torch.rand(8, 3, 1, 1, generator=chance) * torch.linspace(0, 255, side)
    levels = slopes.expand(8, 3, side, side).to(torch.uint8)
    order = PhotoOrder(8, 8, seed=5, flip=False, text_dropout=0.0, timesteps=1000)
    slots = order.batch(0, 0)[begin : begin + count]
    places = [slot.sample for slot in slots]
    return Shown(slots, [TEXTS[place] for place in places], levels[places])


def weights(learner: LoraLearner) -> dict[str, Tensor]:
    return lora_tensors(learner.parts.unet)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_loss_is_the_mean_squared_error_of_the_noise(
    learner: Callable[..., LoraLearner],
) -> None:
    made = learner()
    made.step([shown()], seed=1)  # so that the adapter says something
    made.parts.unet.eval()
    pictures = shown()
    with torch.no_grad():
        found = made.losses(pictures)
    # By hand: x_t = sqrt(a) x_0 + sqrt(1 - a) e, and the mean of (e - e_theta(x_t, t, c))^2.
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    left = np.cumprod(1 - betas)
    for row, slot in enumerate(pictures.slots):
        assert pictures.levels is not None
        levels = pictures.levels[row : row + 1]
        latent = encode_pictures(made.parts, levels, [slot.latent_seed]).double().numpy()
        drawn = torch.Generator().manual_seed(slot.noise_seed)
        noise = torch.randn(latent.shape[1:], generator=drawn).double().numpy()
        share = left[slot.timestep]
        noisy = np.sqrt(share) * latent[0] + np.sqrt(1 - share) * noise
        with torch.no_grad():
            told = made.parts.unet(
                torch.from_numpy(noisy)[None].float(),
                torch.tensor([slot.timestep]),
                text_states(made.parts, [pictures.texts[row]]),
            ).sample
        expected = np.mean((noise - told[0].double().numpy()) ** 2)
        assert float(found[row]) == pytest.approx(expected, rel=1e-4)


def test_a_step_changes_the_adapter_alone(learner: Callable[..., LoraLearner]) -> None:
    made = learner()
    before = copy.deepcopy(made.parts.unet.state_dict())
    told = made.step([shown()], seed=1)
    assert set(told) == {"loss", "gradient lora"}
    after = made.parts.unet.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(".lora_" in name for name in changed)
    assert not any(one.grad is not None for one in made.parts.vae.parameters())


def test_four_passes_of_two_are_one_of_eight(learner: Callable[..., LoraLearner]) -> None:
    plain = {"adapter": {"dropout": 0.0}, "optimiser": {"clip_norm": 1e6}}
    whole, parts = learner(**plain), learner(**plain)
    levels = shown(8)
    one = whole.step([levels], seed=1)
    assert levels.levels is not None
    pieces = [
        Shown(levels.slots[at : at + 2], levels.texts[at : at + 2], levels.levels[at : at + 2])
        for at in (0, 2, 4, 6)
    ]
    cut = parts.step(pieces, seed=1)
    torch.testing.assert_close(cut["loss"], one["loss"])
    torch.testing.assert_close(cut["gradient lora"], one["gradient lora"], rtol=1e-4, atol=1e-6)


def test_checkpointing_changes_no_gradient_not_even_under_dropout(
    learner: Callable[..., LoraLearner],
) -> None:
    without = learner(adapter={"dropout": 0.3})
    within = learner(adapter={"dropout": 0.3}, numerics={"checkpointing": True})
    for seed in (1, 2):
        plain, again = without.step([shown()], seed), within.step([shown()], seed)
        torch.testing.assert_close(plain["gradient lora"], again["gradient lora"])
    assert within.parts.unet.is_gradient_checkpointing
    for name, one in weights(without).items():
        torch.testing.assert_close(weights(within)[name], one)


def test_dropout_is_that_of_the_seed_whatever_was_drawn_before(
    learner: Callable[..., LoraLearner],
) -> None:
    first, second, other = (learner(adapter={"dropout": 0.3}) for _ in range(3))
    for made, seed in ((first, 7), (second, 7), (other, 8)):
        made.step([shown()], seed=0)
        torch.rand(3)
        made.step([shown()], seed=seed)
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(other))


def test_kept_latents_give_the_loss_of_the_picture(learner: Callable[..., LoraLearner]) -> None:
    made, pictures = learner(), shown()
    assert pictures.levels is not None
    mean = encode_pictures(made.parts, pictures.levels)
    drawn = encode_pictures(made.parts, pictures.levels, [0] * 4)
    noise = torch.randn(mean.shape[1:], generator=torch.Generator().manual_seed(0))
    spread = (drawn - mean) / noise
    kept = Shown(pictures.slots, pictures.texts, encoded=torch.stack([mean, spread], 1))
    made.parts.unet.eval()
    with torch.no_grad():
        torch.testing.assert_close(made.losses(kept), made.losses(pictures), rtol=1e-3, atol=1e-5)
    mode = learner(data={"latents": "mode"})
    with torch.no_grad():
        torch.testing.assert_close(mode.losses(kept), mode.losses(pictures))
        assert not torch.equal(mode.losses(pictures), made.losses(pictures))


def test_a_picture_without_text_is_shown_as_with_an_empty_one(
    learner: Callable[..., LoraLearner],
) -> None:
    made, pictures = learner(), shown()
    without = [replace(slot, without_text=True) for slot in pictures.slots]
    made.parts.unet.eval()
    with torch.no_grad():
        silent = made.losses(replace(pictures, slots=without))
        empty = made.losses(replace(pictures, texts=[""] * 4))
        assert torch.equal(silent, empty)
        assert not torch.equal(silent, made.losses(pictures))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_formats_learn_nearly_the_same(
    learner: Callable[..., LoraLearner], precision: str
) -> None:
    whole = learner().step([shown()], seed=1)
    half = learner(getattr(torch, precision), numerics={"precision": precision})
    told = half.step([shown()], seed=1)
    assert float(told["loss"]) == pytest.approx(float(whole["loss"]), rel=0.03)
    assert float(told["gradient lora"]) == pytest.approx(float(whole["gradient lora"]), rel=0.1)
    assert {one.dtype for one in weights(half).values()} == {torch.float32}
    assert half.parts.unet.conv_in.weight.dtype == getattr(torch, precision)


def test_a_step_whose_scaled_gradient_overflows_is_left_out(
    learner: Callable[..., LoraLearner],
) -> None:
    made = learner(torch.float16, numerics={"precision": "float16"})
    before = weights(made)
    made.scaler.load_state_dict(made.scaler.state_dict() | {"scale": 2.0**40})
    told = made.step([shown()], seed=1)
    assert (float(told["skipped"]), float(told["gradient lora"])) == (1.0, 0.0)
    assert math.isfinite(float(told["loss"]))
    assert same(weights(made), before)
    assert made.scaler.get_scale() == 2.0**39
    made.scaler.load_state_dict(made.scaler.state_dict() | {"scale": 2.0**8})
    told = made.step([shown()], seed=1)
    assert float(told["skipped"]) == 0.0
    assert not same(weights(made), before)


def test_a_saved_state_continues_exactly(learner: Callable[..., LoraLearner]) -> None:
    straight, first, second = learner(), learner(), learner()
    for seed in range(4):
        straight.step([shown()], seed)
    for seed in range(2):
        first.step([shown()], seed)
    second.load_state(copy.deepcopy(first.state()))
    for seed in range(2, 4):
        second.step([shown()], seed)
    assert same(weights(second), weights(straight))


def test_a_restart_forgets_the_moments_and_keeps_the_weights(
    learner: Callable[..., LoraLearner],
) -> None:
    made = learner()
    made.step([shown()], seed=1)
    before = weights(made)
    assert made.optimiser.state
    made.restart()
    assert not made.optimiser.state
    assert same(weights(made), before)


def test_the_loss_of_held_out_pictures_falls(learner: Callable[..., LoraLearner]) -> None:
    made = learner(optimiser={"learning_rate": 5e-3}, adapter={"rank": 8, "alpha": 16})
    held = shown(8, begin=0)
    held = Shown(held_out_slots(8, 3, 1000), held.texts, held.levels)

    def loss() -> float:
        return float(torch.cat(made.held_out_losses([held])).mean())

    before = loss()
    order = PhotoOrder(8, 8, seed=11, flip=False, text_dropout=0.0, timesteps=1000)
    for step in range(40):
        slots = order.batch(step, 0)
        places = [slot.sample for slot in slots]
        assert held.levels is not None
        made.step([Shown(slots, [TEXTS[one] for one in places], held.levels[places])], step)
    assert loss() < 0.9 * before


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="warmup_steps = 500: the run has 40 steps"):
        check_warmup(LoraOptimiserSettings(), 40)
    with pytest.raises(ValueError, match=r'precision = "float16": no GPU is seen'):
        check_precision("float16", CPU)
    check_precision("bfloat16", CPU)
    with pytest.raises(ValueError, match='"float32" or'):
        config(numerics={"precision": "float16", "device": "cpu"})


def test_draws_follow_from_seed_epoch_and_place(parts_of: Callable[[int], PhotoOrder]) -> None:
    order = parts_of(40)
    assert order.num_steps == 10
    epoch = [slot for step in range(10) for slot in order.batch(2, step)]
    assert sorted(slot.sample for slot in epoch) == list(range(40))
    assert order.batch(2, 7) == epoch[28:32]
    assert [slot.sample for slot in order.batch(3, 0)] != [slot.sample for slot in epoch[:4]]
    assert len({slot.noise_seed for slot in epoch} | {slot.latent_seed for slot in epoch}) == 80


def test_timesteps_are_spread_evenly_and_texts_dropped_as_often_as_told() -> None:
    order = PhotoOrder(4000, 4000, seed=1, flip=True, text_dropout=0.2, timesteps=1000)
    slots = order.batch(0, 0)
    steps = np.array([slot.timestep for slot in slots])
    assert steps.min() >= 0
    assert steps.max() <= 999
    counts, _ = np.histogram(steps, bins=10, range=(0, 1000))
    # Chi-squared with 9 degrees of freedom stays below 27.9 in 999 of 1,000 cases.
    assert ((counts - 400) ** 2 / 400).sum() < 27.9
    assert np.mean([slot.without_text for slot in slots]) == pytest.approx(0.2, abs=0.02)
    assert np.mean([slot.mirrored for slot in slots]) == pytest.approx(0.5, abs=0.03)


def test_held_out_pictures_cover_all_steps_and_stay_the_same() -> None:
    slots = held_out_slots(4, 1, 1000)
    assert [slot.timestep for slot in slots] == [125, 375, 625, 875]
    assert slots == held_out_slots(4, 1, 1000)
    assert isinstance(slots[0], PhotoSlot)


@pytest.fixture
def parts_of() -> Callable[[int], PhotoOrder]:
    return lambda count: PhotoOrder(count, 4, 1, flip=False, text_dropout=0.0, timesteps=1000)
