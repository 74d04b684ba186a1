"""Stable Diffusion in parts: the same numbers as its own pipeline, and nothing random in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checksums import sha256_of
from models.stable_diffusion.encoding import (
    encode_pictures,
    text_states,
)
from models.stable_diffusion.noise import NoiseSchedule, load_noise_schedule, seeded_noise
from models.stable_diffusion.parts import COMPONENTS, Parts, find_parts, load_parts

PROMPTS = ["a professional portrait", "", "an old man with a beard, smiling " * 8]


@pytest.fixture
def copy(sd15: Path, tmp_path: Path) -> Path:
    """A tiny Stable Diffusion to be broken."""
    return Path(shutil.copytree(sd15, tmp_path / "copy"))


@pytest.fixture(scope="module")
def pipeline(sd15: Path) -> Any:
    """The same model as diffusers loads it."""
    from diffusers import StableDiffusionPipeline

    loaded = StableDiffusionPipeline.from_pretrained(sd15, local_files_only=True)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def levels(seed: int = 0, count: int = 2, side: int = 32) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=chance, dtype=torch.uint8)


def rewrite(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_parts_are_frozen_and_known_by_their_files(sd15: Path, parts: Parts) -> None:
    for network in (parts.unet, parts.vae, parts.text_encoder):
        assert not network.training
        assert not any(one.requires_grad for one in network.parameters())
    weights = sd15 / "unet" / "diffusion_pytorch_model.safetensors"
    assert (
        parts.identity.weights["unet/diffusion_pytorch_model.safetensors"]
        == (sha256_of([weights])[weights])
    )
    assert {Path(name).parts[0] for name in parts.identity.weights} == set(COMPONENTS)
    assert parts.text_length == 77
    assert parts.latent_scale == 8


def test_the_unet_alone_can_have_another_number_format(sd15: Path) -> None:
    parts = load_parts(find_parts(str(sd15)), dtype=torch.bfloat16, unet_dtype=torch.float32)
    assert (parts.unet.dtype, parts.vae.dtype) == (torch.float32, torch.bfloat16)
    assert encode_pictures(parts, levels()).dtype == torch.float32


def test_texts_are_read_as_the_pipeline_reads_them(parts: Parts, pipeline: Any) -> None:
    states = text_states(parts, PROMPTS)
    expected, _ = pipeline.encode_prompt(PROMPTS, "cpu", 1, False)
    assert states.shape == (3, 77, 32)
    assert torch.equal(states, expected)


def test_pictures_become_scaled_latents(parts: Parts, pipeline: Any) -> None:
    mode = encode_pictures(parts, levels())
    unit = levels().float() / 127.5 - 1
    with torch.no_grad():
        spread = pipeline.vae.encode(unit).latent_dist
    assert mode.shape == (2, 4, 4, 4)
    torch.testing.assert_close(mode, 0.18215 * spread.mode())


def test_a_drawn_latent_is_that_of_its_seed_in_any_company(parts: Parts) -> None:
    pictures = levels(count=3)
    together = encode_pictures(parts, pictures, [11, 12, 13])
    alone = encode_pictures(parts, pictures[1:2], [12])
    torch.testing.assert_close(together[1:2], alone, atol=1e-6, rtol=1e-5)
    mode = encode_pictures(parts, pictures)
    with torch.no_grad():
        spread = parts.vae.encode(pictures.float() / 127.5 - 1).latent_dist
    noise = seeded_noise([11, 12, 13], (4, 4, 4), "cpu")
    torch.testing.assert_close(together - mode, 0.18215 * spread.std * noise)


def test_noise_of_seeds_is_normal_and_its_own() -> None:
    noise = seeded_noise(range(200), (4, 8, 8), "cpu")
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.02
    assert torch.equal(noise[7], seeded_noise([7], (4, 8, 8), "cpu")[0])
    assert not torch.equal(noise[7], noise[8])


def test_noise_is_added_as_the_betas_of_sd15_say(parts: Parts) -> None:
    # DDPM, Eq. 4, in plain numbers: betas are squares of 1000 roots in a line.
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=np.float64) ** 2
    left = np.cumprod(1 - betas)
    assert parts.schedule.num_steps == 1000
    np.testing.assert_allclose(parts.schedule.alphas_cumprod.numpy(), left, rtol=1e-4)
    latents, noise = seeded_noise([1, 2], (4, 2, 2), "cpu"), seeded_noise([3, 4], (4, 2, 2), "cpu")
    steps = torch.tensor([0, 700])
    noisy = parts.schedule.add_noise(latents, noise, steps)
    for row, step in enumerate((0, 700)):
        by_hand = (
            left[step] ** 0.5 * latents[row].double()
            + (1 - left[step]) ** 0.5 * noise[row].double()
        )
        np.testing.assert_allclose(noisy[row].numpy(), by_hand.numpy(), rtol=1e-4, atol=1e-5)
    assert torch.equal(parts.schedule.wanted(latents, noise, steps), noise)
    torch.testing.assert_close(parts.schedule.without_noise(noisy, noise, steps), latents)


def test_a_velocity_is_wanted_where_the_model_predicts_it(parts: Parts) -> None:
    schedule = NoiseSchedule(parts.schedule.alphas_cumprod, "v_prediction")
    latents, noise = seeded_noise([1], (4, 2, 2), "cpu"), seeded_noise([2], (4, 2, 2), "cpu")
    steps = torch.tensor([300])
    noisy = schedule.add_noise(latents, noise, steps)
    velocity = schedule.wanted(latents, noise, steps)
    torch.testing.assert_close(schedule.without_noise(noisy, velocity, steps), latents)


def test_another_prediction_is_refused(copy: Path) -> None:
    rewrite(copy / "scheduler" / "scheduler_config.json", prediction_type="sample")
    with pytest.raises(ValueError, match="prediction_type = 'sample'"):
        load_noise_schedule(copy / "scheduler", torch.device("cpu"))


def test_the_unet_predicts_as_in_the_pipeline(parts: Parts, pipeline: Any) -> None:
    noisy, texts = seeded_noise([1, 2], (4, 4, 4), "cpu"), text_states(parts, PROMPTS[:2])
    steps = torch.tensor([10, 900])
    with torch.no_grad():
        expected = pipeline.unet(noisy, steps, texts, return_dict=False)[0]
        assert torch.equal(parts.predict(noisy, steps, texts), expected)


def test_a_vae_with_the_names_of_old_is_read(copy: Path, parts: Parts) -> None:
    # As the published SD 1.5 has them, from before diffusers renamed its attention.
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    file = copy / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    for new, name in old.items():
        tensors = {key.replace(f".{new}.", f".{name}."): one for key, one in tensors.items()}
    assert any(".query." in key for key in tensors)
    save_file(tensors, file, {"format": "pt"})
    again = load_parts(find_parts(str(copy)))
    assert torch.equal(encode_pictures(again, levels()), encode_pictures(parts, levels()))


@pytest.mark.parametrize("component", ["unet", "vae", "text_encoder"])
def test_weights_that_do_not_fill_a_network_are_refused(copy: Path, component: str) -> None:
    file = next((copy / component).glob("*.safetensors"))
    tensors = load_file(file)
    gone = sorted(tensors)[3]
    save_file({name: one for name, one in tensors.items() if name != gone}, file, {"format": "pt"})
    with pytest.raises(ValueError, match=f"{component}: lacks '{gone}'"):
        load_parts(find_parts(str(copy)))


def test_weights_of_another_shape_are_refused(copy: Path) -> None:
    file = copy / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"conv_in.bias": torch.zeros(5)}, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"unet: .*conv_in\.bias"):
        load_parts(find_parts(str(copy)))


def test_damaged_weights_are_refused(copy: Path) -> None:
    file = copy / "vae" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match="vae: does not load"):
        load_parts(find_parts(str(copy)))


def test_a_missing_file_and_another_family_are_named(copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "tokenizer")
    with pytest.raises(ValueError, match="tokenizer is missing"):
        find_parts(str(copy))
    rewrite(copy / "model_index.json", _class_name="FluxPipeline")
    with pytest.raises(ValueError, match=r"lora\.model = .*made for FluxPipeline.*SD 1\.5"):
        find_parts(str(copy), setting="lora.model")
    with pytest.raises(ValueError, match=r"correct lora\.model"):
        find_parts(str(tmp_path / "nowhere"), setting="lora.model")


def test_networks_that_do_not_belong_together_are_refused(copy: Path, sd15: Path) -> None:
    from diffusers import UNet2DConditionModel

    config = UNet2DConditionModel.load_config(sd15 / "unet", local_files_only=True)
    UNet2DConditionModel.from_config(config, cross_attention_dim=16).save_pretrained(copy / "unet")
    with pytest.raises(ValueError, match="texts of width 16, its text encoder writes 32"):
        load_parts(find_parts(str(copy)))
    UNet2DConditionModel.from_config(config, in_channels=9).save_pretrained(copy / "unet")
    with pytest.raises(ValueError, match="takes 9 channels"):
        load_parts(find_parts(str(copy)))


def test_pictures_that_do_not_fit_are_refused(parts: Parts) -> None:
    with pytest.raises(ValueError, match="36 x 36 px: sides should be multiples of 8"):
        encode_pictures(parts, levels(side=36))
    with pytest.raises(ValueError, match=r"torch\.float32"):
        encode_pictures(parts, levels().float())
