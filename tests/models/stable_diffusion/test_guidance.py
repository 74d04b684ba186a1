"""Eq. 1, 3, 4, 6 and 7 of paper 3 beside a computation of their own in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.features.dino import load_dino
from models.stable_diffusion.guidance import (
    FeatureDistance,
    LatentDistance,
    NoisyPair,
    guidance_losses,
    guided_parameters,
    latent_mask,
    one_step_denoised,
)
from models.stable_diffusion.noise import NoiseSchedule
from models.stable_diffusion.parts import Parts
from schemas.guide import DinoDistance, L2Distance

Numbers = NDArray[np.float64]
STEPS = [0, 1, 249, 499, 998]


def betas() -> Numbers:
    """Stable Diffusion's: their roots rise in a line."""
    return np.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=np.float64) ** 2


def alphas_bar() -> Numbers:
    """Products of 1 - beta, one by one."""
    left, found = 1.0, []
    for beta in betas():
        left *= 1.0 - beta
        found.append(left)
    return np.array(found)


def drawn(*shape: int, seed: int) -> Numbers:
    return np.random.default_rng(seed).normal(size=shape)


def tensor(numbers: Numbers) -> Tensor:
    return torch.from_numpy(numbers).float()


def test_eq_1_step_by_step_is_the_noise_of_one_go(parts: Parts) -> None:
    """x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) e, 500 times: mean and variance are known."""
    mean, variance = 1.0, 0.0
    for beta in betas()[:500]:
        mean, variance = mean * np.sqrt(1 - beta), (1 - beta) * variance + beta
    clean, noise = drawn(1, 4, 3, 3, seed=0), drawn(1, 4, 3, 3, seed=1)
    # The paper's t = 500 is the networks' 499, as they count from 0.
    noisy = parts.schedule.add_noise(tensor(clean), tensor(noise), torch.tensor([499]))
    assert np.allclose(noisy, mean * clean + np.sqrt(variance) * noise, atol=1e-5)


def test_eq_3_ddim_of_the_inpainting_pipeline(sd15: Path) -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler.from_pretrained(sd15 / "scheduler", clip_sample=False)
    scheduler.set_timesteps(50)
    bar = alphas_bar()
    now, told = drawn(1, 4, 3, 3, seed=2), drawn(1, 4, 3, 3, seed=3)
    for time in scheduler.timesteps[[0, 20, 48]].tolist():
        before = time - 20
        # Eq. 4, then Eq. 3 with the step before this one of fifty.
        clean = (now - np.sqrt(1 - bar[time]) * told) / np.sqrt(bar[time])
        wanted = np.sqrt(bar[before]) * clean + np.sqrt(1 - bar[before]) * told
        found = scheduler.step(tensor(told), time, tensor(now)).prev_sample
        assert np.allclose(found, wanted, atol=2e-4), time


def pair_of(seed: int) -> NoisyPair:
    n = len(STEPS)
    mask = (drawn(n, 1, 6, 6, seed=seed + 3) > 0).astype(np.float64)
    return NoisyPair(
        good=tensor(drawn(n, 4, 6, 6, seed=seed)),
        bad=tensor(drawn(n, 4, 6, 6, seed=seed + 1)),
        mask=tensor(mask),
        noise=tensor(drawn(n, 4, 6, 6, seed=seed + 2)),
        timesteps=torch.tensor(STEPS),
        texts=torch.zeros(n, 2, 3),
    )


def test_eq_4_finds_what_was_there_when_the_noise_is_known(parts: Parts) -> None:
    pair = pair_of(5)
    found = one_step_denoised(parts.schedule, lambda *_: pair.noise, pair.good, pair)
    assert torch.allclose(found, pair.good, atol=2e-4)


@pytest.mark.parametrize("over", ["latent", "mask"])
def test_eq_6_and_7(parts: Parts, over: str) -> None:
    """Both networks are given numbers that are not the noise; all else is worked out apart."""
    pair = pair_of(7)
    of_teacher, of_student = drawn(5, 4, 6, 6, seed=20), drawn(5, 4, 6, 6, seed=21)
    seen: dict[str, Tensor] = {}

    def teacher(noisy: Tensor, steps: Tensor, texts: Tensor) -> Tensor:
        seen["good"] = noisy
        return tensor(of_teacher)

    def student(noisy: Tensor, steps: Tensor, texts: Tensor) -> Tensor:
        seen["bad"] = noisy
        assert steps.tolist() == STEPS
        return tensor(of_student)

    distance = LatentDistance(L2Distance(over=over))  # type: ignore[arg-type]
    found = guidance_losses(parts.schedule, teacher, student, pair, distance)
    bar = alphas_bar()[STEPS].reshape(-1, 1, 1, 1)
    good, bad, noise = (np.asarray(one, np.float64) for one in (pair.good, pair.bad, pair.noise))
    noisy_good = np.sqrt(bar) * good + np.sqrt(1 - bar) * noise
    noisy_bad = np.sqrt(bar) * bad + np.sqrt(1 - bar) * noise
    assert np.allclose(seen["good"], noisy_good, atol=1e-5)
    assert np.allclose(seen["bad"], noisy_bad, atol=1e-5)
    seen_good = (noisy_good - np.sqrt(1 - bar) * of_teacher) / np.sqrt(bar)
    seen_bad = (noisy_bad - np.sqrt(1 - bar) * of_student) / np.sqrt(bar)
    mask = np.asarray(pair.mask, np.float64)
    squared = (mask * seen_good - mask * seen_bad) ** 2
    many = 4 * 6 * 6 if over == "latent" else 4 * mask.sum((1, 2, 3))
    assert np.allclose(found, squared.sum((1, 2, 3)) / many, rtol=1e-3)


def test_only_the_student_has_a_gradient(parts: Parts) -> None:
    pair = pair_of(9)
    teacher_says, student_says = (torch.ones(5, 4, 6, 6, requires_grad=True) for _ in range(2))
    distance = LatentDistance(L2Distance())
    losses = guidance_losses(
        parts.schedule, lambda *_: teacher_says, lambda *_: student_says, pair, distance
    )
    losses.sum().backward()
    assert teacher_says.grad is None
    assert student_says.grad is not None
    # Nothing is learned outside the mask.
    assert not student_says.grad[(pair.mask == 0).expand_as(student_says)].any()
    assert student_says.grad[(pair.mask == 1).expand_as(student_says)].any()


def test_masks_at_the_latents_size() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 4:24, 8:20] = 1
    near = latent_mask(mask, (4, 4), "nearest")[0, 0]
    # The upper left pixel of each place of 8 x 8.
    assert near.tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    area = latent_mask(mask, (4, 4), "area")[0, 0]
    assert area.tolist() == [[0, 0.5, 0.25, 0], [0, 1, 0.5, 0], [0, 1, 0.5, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("tokens", ["class", "all"])
@pytest.mark.parametrize("measure", ["cosine", "l2"])
def test_dinos_distance(tiny: Path, parts: Parts, tokens: str, measure: str) -> None:
    """The features are those of transformers' own model on the decoded picture."""
    dino = load_dino(str(tiny / "dino"))
    settings = DinoDistance(tokens=tokens, measure=measure)  # type: ignore[arg-type]
    distance = FeatureDistance(settings, parts.vae, dino)
    good, bad = (tensor(drawn(2, 4, 4, 4, seed=n)) for n in (31, 32))
    bad.requires_grad_()
    found = distance(good, bad, torch.ones(2, 1, 4, 4))
    features = []
    for latents in (good, bad):
        with torch.no_grad():
            shown = parts.vae.decode(latents / 0.18215).sample / 2 + 0.5
            mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
            spread = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
            told = dino.model((shown - mean) / spread).last_hidden_state.double().numpy()
        features.append(told[:, :1] if tokens == "class" else told)
    one, other = features
    if measure == "l2":
        wanted = ((one - other) ** 2).mean((1, 2))
    else:
        lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
        wanted = (1 - (one * other).sum(-1) / lengths).mean(1)
    assert np.allclose(found.detach(), wanted, rtol=1e-3, atol=1e-5)
    assert (found > 1e-3).all()
    found.sum().backward()
    assert bad.grad is not None
    assert bad.grad.abs().max() > 0
    assert float(distance(good, good, torch.ones(2, 1, 4, 4)).abs().max()) < 1e-6


def test_dino_is_read_without_a_pooler(tiny: Path, tmp_path: Path) -> None:
    dino = load_dino(str(tiny / "dino"))
    assert dino.model.pooler is None
    assert dino.tokens(torch.rand(2, 3, 32, 32)).shape == (2, 17, 32)
    assert dino.tokens(torch.rand(2, 3, 64, 48)).shape == (2, 17, 32)
    with pytest.raises(ValueError, match="nowhere"):
        load_dino(str(tmp_path / "nowhere"))


def test_self_attention_of_the_real_unet() -> None:
    """4 matrices and a bias in each of 16 blocks: 49.6 of 859.5 million numbers."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(
            sample_size=64,
            block_out_channels=(320, 640, 1280, 1280),
            layers_per_block=2,
            attention_head_dim=8,
            cross_attention_dim=768,
        )
    widths = 5 * [320] + 5 * [640] + 6 * [1280]
    trained = dict(guided_parameters(unet, "attn1"))
    assert sum(one.numel() for one in trained.values()) == sum(4 * c * c + c for c in widths)
    assert len(trained) == 16 * 5
    assert not any("attn2" in name for name in trained)
    assert sum(one.numel() for _, one in guided_parameters(unet, "all")) == 859_520_964


def test_a_velocity_model_denoises_as_well() -> None:
    bar = torch.from_numpy(alphas_bar()).float()
    schedule = NoiseSchedule(bar, "v_prediction")
    pair = pair_of(11)
    told = schedule.wanted(pair.good, pair.noise, pair.timesteps)
    found = one_step_denoised(schedule, lambda *_: told, pair.good, pair)
    assert torch.allclose(found, pair.good, atol=1e-4)
