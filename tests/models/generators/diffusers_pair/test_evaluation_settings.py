"""What paper 3 measures with: another UNet, negative prompts, PNDM, prompts that are cut."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from models.adapters.folder import write_adapter
from models.adapters.lora import add_lora, lora_parameters, lora_tensors
from models.adapters.lora_files import DIFFUSERS, KOHYA
from models.generators.diffusers_pair.generator import DiffusersGenerator
from models.stable_diffusion.parts import find_parts, load_parts
from schemas.config import DatasetConfig
from schemas.endings import CannotGoOn
from schemas.lora import AdapterSettings
from schemas.run import ModelIdentity
from schemas.sample import PlannedSample

Pair = Callable[..., DatasetConfig]
ALONE = {"stages": ["source"]}
WEIGHTS = "diffusion_pytorch_model.safetensors"


def made(config: DatasetConfig, samples: Sequence[PlannedSample]) -> np.ndarray:
    generator = DiffusersGenerator(config)
    generator.load()
    return np.asarray(generator.make(samples)["source"])


@pytest.fixture
def unet(tiny: Path, tmp_path: Path) -> Path:
    """A UNet whose self-attention differs."""
    folder = tmp_path / "unet"
    shutil.copytree(tiny / "sd15" / "unet", folder)
    tensors = load_file(folder / WEIGHTS)
    for name in tensors:
        if ".attn1." in name:
            tensors[name] *= 3
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    return folder


def sd15(pair: Pair, **generator: object) -> DatasetConfig:
    return pair("sd15", dataset=ALONE, generator=generator, source={"guidance": 7.5})


def test_a_unet_takes_the_place_of_its_own(
    pair: Pair, unet: Path, tiny: Path, samples: list[PlannedSample], tmp_path: Path
) -> None:
    plain, swapped = sd15(pair), sd15(pair, unet=str(unet))
    same = sd15(pair, unet=str(tiny / "sd15" / "unet"))
    assert not np.array_equal(made(plain, samples), made(swapped, samples))
    assert np.array_equal(made(plain, samples), made(same, samples))
    told = DiffusersGenerator(swapped).identity()["source"].weights
    base = DiffusersGenerator(plain).identity()["source"].weights
    assert told.keys() - base.keys() == {"swapped-unet/config.json", f"swapped-unet/{WEIGHTS}"}
    # From a copy on the node's disk it is the same.
    generator = DiffusersGenerator(swapped)
    generator.copy_weights(tmp_path / "local", generator.identity())
    generator.load()
    assert np.array_equal(generator.make(samples)["source"], made(swapped, samples))


def test_a_unet_with_gaps_or_of_another_kind_is_refused(
    pair: Pair, unet: Path, samples: list[PlannedSample]
) -> None:
    tensors = load_file(unet / WEIGHTS)
    dropped = next(name for name in tensors if ".attn1." in name)
    del tensors[dropped]
    save_file(tensors, unet / WEIGHTS, {"format": "pt"})
    with pytest.raises(ValueError, match=r"generator\.unet = .*: lacks "):
        DiffusersGenerator(sd15(pair, unet=str(unet))).load()
    (unet / WEIGHTS).write_bytes(b"no safetensors")
    with pytest.raises(ValueError, match=r"generator\.unet = .*: does not load"):
        DiffusersGenerator(sd15(pair, unet=str(unet))).load()
    with pytest.raises(ValueError, match=r"has no config\.json; name a UNet in diffusers' layout"):
        DiffusersGenerator(sd15(pair, unet=str(unet / "nowhere"))).load()
    with pytest.raises(ValueError, match="FLUX has a transformer, no UNet; leave it out"):
        DiffusersGenerator(pair("flux", dataset=ALONE, generator={"unet": str(unet)})).load()


def test_a_lora_of_relume_lora_is_added_with_its_alpha(
    pair: Pair, tiny: Path, samples: list[PlannedSample], tmp_path: Path
) -> None:
    import torch

    unet = load_parts(find_parts(str(tiny / "sd15"))).unet
    settings = AdapterSettings(rank=2, alpha=4)
    add_lora(unet, settings, seed=1)
    with torch.no_grad():
        for number, one in enumerate(lora_parameters(unet).values()):
            one.copy_(torch.randn(one.shape, generator=torch.Generator().manual_seed(number)) / 8)
    base = ModelIdentity(model="tiny", revision="tiny", weights={})
    write_adapter(tmp_path / "adapter", unet, settings, base, None)
    file = tmp_path / "adapter" / DIFFUSERS
    config = sd15(pair, lora=str(file))
    generator = DiffusersGenerator(config)
    generator.load()
    shown = (torch.randn(1, 4, 8, 8), torch.tensor([5]), torch.randn(1, 77, 32))
    with torch.no_grad():
        ours = generator.pipelines["source"].run.unet(*shown).sample
        theirs = unet.eval()(*shown).sample
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not np.array_equal(made(config, samples), made(sd15(pair), samples))
    # The folder says the same; of kohya's names diffusers knows some alone.
    assert np.array_equal(made(sd15(pair, lora=str(file.parent)), samples), made(config, samples))
    with pytest.raises(ValueError, match=rf"do not match\); use {DIFFUSERS} beside it"):
        DiffusersGenerator(sd15(pair, lora=str(file.with_name(KOHYA)))).load()
    # Without some layers, or without its alpha, it would load and draw otherwise.
    tensors = load_file(file)
    some = {name: one for name, one in tensors.items() if "attn1.to_q" not in name}
    for damaged in (some, tensors):
        save_file(damaged, file, {"format": "pt"})
        with pytest.raises(ValueError, match=r"is not the file that config\.json is of"):
            DiffusersGenerator(config).load()


@pytest.mark.parametrize("half", ["lora_A", "lora_B"])
def test_a_lora_of_others_with_a_renamed_half_is_refused(
    pair: Pair, tiny: Path, tmp_path: Path, half: str
) -> None:
    unet = load_parts(find_parts(str(tiny / "sd15"))).unet
    add_lora(unet, AdapterSettings(rank=2, alpha=2, targets=("to_q",)), seed=1)
    file = tmp_path / "theirs.safetensors"
    tensors = {f"unet.{name}": one for name, one in lora_tensors(unet).items()}
    first = next(name for name in sorted(tensors) if half in name)
    tensors[first.replace("attn1", "attn7")] = tensors.pop(first)
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ValueError, match=r"generator\.lora = .*(lacks|has no place for) "):
        DiffusersGenerator(sd15(pair, lora=str(file))).load()


def test_negative_prompts_lead_away(pair: Pair, samples: list[PlannedSample]) -> None:
    plain = made(sd15(pair), samples)
    away = made(sd15(pair, negative_prompt="bad face, deformed"), samples)
    assert not np.array_equal(plain, away)
    generator = DiffusersGenerator(sd15(pair, negative_prompt="bad face, deformed"))
    assert generator.numerics()["negative_prompt"] == "bad face, deformed"
    generator.load()
    # The same as the pipeline makes of it.
    run = generator.pipelines["source"].run
    import torch

    drawn = run(
        [one.prompt for one in samples],
        negative_prompt=["bad face, deformed"] * len(samples),
        height=64,
        width=64,
        num_inference_steps=3,
        guidance_scale=7.5,
        generator=[torch.Generator().manual_seed(one.seeds["source"]) for one in samples],
        output_type="np",
    ).images
    assert np.abs(np.rint(drawn * 255) - away).max() <= 1
    with pytest.raises(ValueError, match="FLUX ignores it; leave it out"):
        DiffusersGenerator(pair("flux", dataset=ALONE, generator={"negative_prompt": "b"})).load()


def test_a_target_is_sampled_by_what_can_begin_midway(pair: Pair) -> None:
    both = DiffusersGenerator(pair("sd15", dataset={"stages": ["source", "target"]}))
    both.load()
    samplers = {stage: type(one.run.scheduler).__name__ for stage, one in both.pipelines.items()}
    assert samplers == {"source": "PNDMScheduler", "target": "DDIMScheduler"}
    noise, own = (both.pipelines[one].run.scheduler.config for one in ("target", "source"))
    for known in ("beta_start", "beta_end", "beta_schedule", "steps_offset", "set_alpha_to_one"):
        assert noise[known] == own[known]
    assert both.numerics()["target_scheduler"] == "ddim"
    # A dataset of sources alone, or of another family, was never told of it.
    assert "target_scheduler" not in DiffusersGenerator(sd15(pair)).numerics()
    assert "target_scheduler" not in DiffusersGenerator(pair("sd35")).numerics()


def test_pndm_is_for_stable_diffusion(
    pair: Pair, tiny: Path, samples: list[PlannedSample], tmp_path: Path
) -> None:
    assert "scheduler" not in DiffusersGenerator(sd15(pair)).numerics()
    # The tiny checkpoint's own is PNDM, so asking for it changes nothing there.
    pndm = sd15(pair, scheduler="pndm")
    assert np.array_equal(made(pndm, samples), made(sd15(pair), samples))
    with pytest.raises(ValueError, match=r"FLUX is sampled otherwise; say 'checkpoint'"):
        DiffusersGenerator(pair("flux", dataset=ALONE, generator={"scheduler": "pndm"})).load()


def test_long_prompts_are_refused_or_cut(pair: Pair, samples: list[PlannedSample]) -> None:
    long = [replace(one, prompt=one.prompt + " portrait" * 90) for one in samples]
    with pytest.raises(CannotGoOn, match=r"tokens, and 77 are read.*long-prompts cut"):
        made(sd15(pair), long)
    cut = made(sd15(pair, long_prompts="cut"), long)
    longer = [replace(one, prompt=one.prompt + " something else") for one in long]
    assert np.array_equal(cut, made(sd15(pair, long_prompts="cut"), longer))
