"""LoRA: how many numbers it has on the real network, what it adds, and that its files lose none."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.adapters.lora import add_lora, lora_parameters, lora_tensors, set_lora
from models.adapters.lora_files import (
    DIFFUSERS,
    KOHYA,
    diffusers_file,
    kohya_file,
    load_lora_file,
)
from models.stable_diffusion.parts import Parts
from schemas.lora import AdapterSettings

PAPER = AdapterSettings()
# unet/config.json of SD 1.5, as far as it differs from diffusers' defaults.
SD15_UNET = {"sample_size": 64, "cross_attention_dim": 768}


def real_unet() -> Any:
    """The UNet of SD 1.5 with its adapter, without a number in memory."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(**SD15_UNET)
        add_lora(unet, PAPER, 0)
    return unet


def trained(unet: Any, settings: AdapterSettings = PAPER) -> Any:
    """A copy of a UNet with a LoRA that changes something."""
    changed = copy.deepcopy(unet)
    add_lora(changed, settings, 3)
    drawn = torch.Generator().manual_seed(4)
    set_lora(
        changed,
        {
            name: 0.1 * torch.randn(one.shape, generator=drawn)
            for name, one in lora_parameters(changed).items()
        },
        "here",
    )
    return changed.eval()


def told(unet: Any) -> Tensor:
    """What a UNet says of some noise."""
    drawn = torch.Generator().manual_seed(5)
    noisy, texts = (torch.randn(shape, generator=drawn) for shape in ((2, 4, 4, 4), (2, 77, 32)))
    with torch.no_grad():
        said: Tensor = unet(noisy, torch.tensor([3, 800]), texts).sample
    return said


@pytest.fixture
def files(parts: Parts, tmp_path: Path) -> Callable[..., Any]:
    """Writes both files of a trained LoRA and gives its UNet."""

    def write(settings: AdapterSettings = PAPER) -> Any:
        unet = trained(parts.unet, settings)
        (tmp_path / DIFFUSERS).write_bytes(diffusers_file(unet, settings))
        (tmp_path / KOHYA).write_bytes(kohya_file(unet, settings))
        return unet

    return write


def rewrite(file: Path, change: Callable[[dict[str, Tensor]], None], **metadata: str) -> None:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        kept: Mapping[str, str] = opened.metadata()
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, {**kept, **metadata})


def test_the_paper_counts_12_37_million_parameters_on_sd15() -> None:
    unet = real_unet()
    trainable = [one for one in unet.parameters() if one.requires_grad]
    count = sum(one.numel() for one in trainable)
    assert count == 12_374_016
    assert len(lora_parameters(unet)) == len(trainable) == 436
    # 1.42 % "of the full model": of this UNet with the adapter in it.
    assert round(100 * count / sum(one.numel() for one in unet.parameters()), 2) == 1.42


def test_a_new_lora_changes_nothing_and_is_that_of_its_seed(parts: Parts) -> None:
    state = torch.get_rng_state()
    first, same, other = (copy.deepcopy(parts.unet) for _ in range(3))
    for unet, seed in ((first, 1), (same, 1), (other, 2)):
        add_lora(unet, PAPER, seed)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(told(first.eval()), told(parts.unet))
    assert all(
        torch.equal(lora_tensors(same)[key], one) for key, one in lora_tensors(first).items()
    )
    assert any(
        not torch.equal(lora_tensors(other)[key], one) for key, one in lora_tensors(first).items()
    )
    assert {name for name, one in first.named_parameters() if one.requires_grad} == {
        name for name, _ in first.named_parameters() if ".lora_" in name
    }


@pytest.mark.parametrize(("scaling", "scale"), [("alpha / rank", 2.0), ("alpha", 32.0)])
def test_the_formula_of_the_paper_and_that_of_peft(
    parts: Parts, scaling: Any, scale: float
) -> None:
    settings = AdapterSettings(scaling=scaling)
    assert settings.scale == scale
    unet = trained(parts.unet, settings)
    tensors = {name: one.double().numpy() for name, one in lora_tensors(unet).items()}
    # A linear layer in plain numbers: x (W0 + scale B A)^T.
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    layer = unet.get_submodule(name)
    weight = layer.base_layer.weight.detach().double().numpy()
    weight = weight + scale * tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"]
    shown = torch.randn(5, weight.shape[1], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        by_matrix = shown.double().numpy() @ weight.T
        np.testing.assert_allclose(layer(shown).numpy(), by_matrix, rtol=1e-3, atol=1e-4)
    # A convolution: the same at every place of the 3 x 3 kernel.
    name = "down_blocks.0.resnets.0.conv1"
    layer = unet.get_submodule(name)
    added = np.einsum(
        "or,rikl->oikl",
        tensors[f"{name}.lora_B.weight"][:, :, 0, 0],
        tensors[f"{name}.lora_A.weight"],
    )
    kernel = layer.base_layer.weight.detach().double() + scale * torch.from_numpy(added)
    shown = torch.randn(2, kernel.shape[1], 4, 4, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        by_hand = nn.functional.conv2d(
            shown.double(), kernel, layer.base_layer.bias.double(), padding=1
        )
        torch.testing.assert_close(layer(shown).double(), by_hand, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("file", [DIFFUSERS, KOHYA])
@pytest.mark.parametrize("scaling", ["alpha / rank", "alpha"])
def test_diffusers_loads_every_tensor_with_the_right_alpha(
    files: Callable[..., Any], sd15: Path, tmp_path: Path, file: str, scaling: Any
) -> None:
    from diffusers import StableDiffusionPipeline

    settings = AdapterSettings(scaling=scaling)
    unet = files(settings)
    pipeline = StableDiffusionPipeline.from_pretrained(sd15, local_files_only=True)
    plain = told(pipeline.unet)
    pipeline.load_lora_weights(tmp_path, weight_name=file, adapter_name="default")
    wanted, found = lora_tensors(unet), lora_tensors(pipeline.unet)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], one) for name, one in wanted.items())
    scales = {
        one.scaling["default"] for one in pipeline.unet.modules() if hasattr(one, "lora_alpha")
    }
    assert scales == {settings.scale}
    torch.testing.assert_close(told(pipeline.unet), told(unet))
    assert not torch.allclose(told(unet), plain, atol=1e-2)


def test_diffusers_draws_the_same_picture_from_the_folder(
    files: Callable[..., Any], sd15: Path, tmp_path: Path
) -> None:
    from diffusers import StableDiffusionPipeline

    def drawn(pipeline: Any) -> Any:
        pipeline.set_progress_bar_config(disable=True)
        chance = torch.Generator().manual_seed(6)
        return pipeline(
            "a portrait", num_inference_steps=3, height=32, width=32, generator=chance,
            output_type="np",
        ).images  # fmt: skip

    unet = files()
    loaded = StableDiffusionPipeline.from_pretrained(sd15, local_files_only=True)
    before = drawn(loaded)
    loaded.load_lora_weights(tmp_path)  # both files are there, and it takes its own
    own = StableDiffusionPipeline.from_pretrained(sd15, local_files_only=True, unet=unet)
    np.testing.assert_allclose(drawn(loaded), drawn(own), atol=1e-5)
    assert np.abs(drawn(loaded) - before).max() > 1e-3


def test_no_name_of_the_real_network_is_lost_on_either_way() -> None:
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import convert_unet_state_dict_to_peft

    from models.adapters.lora_files import _alpha_name, _kohya_name

    wanted = lora_parameters(real_unet())
    thin = {name: torch.zeros(1) for name in wanted}
    kohya = {_kohya_name(name): one for name, one in thin.items()}
    kohya |= {_alpha_name(name): torch.tensor(32.0) for name in thin}
    assert len(kohya) == 436 + 218
    converted, alphas = StableDiffusionPipeline.lora_state_dict(kohya)
    plain = {name.removeprefix("unet."): one for name, one in converted.items()}
    assert set(convert_unet_state_dict_to_peft(plain)) == set(wanted)
    assert len(alphas) == 218
    assert set(alphas.values()) == {32.0}


@pytest.mark.parametrize("file", [DIFFUSERS, KOHYA])
def test_our_reader_brings_back_what_was_written(
    files: Callable[..., Any], parts: Parts, tmp_path: Path, file: str
) -> None:
    wanted = lora_tensors(files())
    again = copy.deepcopy(parts.unet)
    add_lora(again, PAPER, 99)
    load_lora_file(again, PAPER, tmp_path / file)
    assert all(torch.equal(lora_tensors(again)[name], one) for name, one in wanted.items())


def _drop(tensors: dict[str, Tensor]) -> None:
    del tensors[sorted(tensors)[10]]


def _add(tensors: dict[str, Tensor]) -> None:
    one = next(name for name in sorted(tensors) if "attn1_to_q" in name or "attn1.to_q" in name)
    tensors[one.replace("attn1", "attn7")] = tensors[one].clone()


def _rename(tensors: dict[str, Tensor]) -> None:
    one = next(name for name in sorted(tensors) if "attn1_to_q" in name or "attn1.to_q" in name)
    tensors[one.replace("attn1", "attn7")] = tensors.pop(one)


def _reshape(tensors: dict[str, Tensor]) -> None:
    one = next(name for name in sorted(tensors) if "conv1" in name and "alpha" not in name)
    tensors[one] = tensors[one][:-1].clone()


@pytest.mark.parametrize("file", [DIFFUSERS, KOHYA])
@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        (_drop, r"lacks the tensor '.*' \(1 missing, 0 too many of (122|183)\)"),
        (_add, r"has '.*attn7.*', which belongs to no layer"),
        (_rename, r"lacks the tensor '.*attn1.*' and has '.*attn7.*'"),
        (_reshape, r"conv1.*has shape .*this network takes"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_its_first_tensor(
    files: Callable[..., Any],
    parts: Parts,
    tmp_path: Path,
    file: str,
    change: Callable[[dict[str, Tensor]], None],
    told_of: str,
) -> None:
    files()
    rewrite(tmp_path / file, change)
    again = copy.deepcopy(parts.unet)
    add_lora(again, PAPER, 99)
    before = lora_tensors(again)
    with pytest.raises(ValueError, match=told_of):
        load_lora_file(again, PAPER, tmp_path / file)
    assert all(torch.equal(lora_tensors(again)[name], one) for name, one in before.items())


def test_a_file_of_another_alpha_or_of_none_is_refused(
    files: Callable[..., Any], parts: Parts, tmp_path: Path
) -> None:
    files()
    again = copy.deepcopy(parts.unet)
    other = AdapterSettings(alpha=16)
    add_lora(again, other, 1)
    with pytest.raises(ValueError, match=r"rank and alpha \(16, 32\), and \(16, 16\) is wanted"):
        load_lora_file(again, other, tmp_path / DIFFUSERS)
    with pytest.raises(ValueError, match=r"alpha' is 32, and 16 is wanted"):
        load_lora_file(again, other, tmp_path / KOHYA)
    rewrite(tmp_path / DIFFUSERS, lambda _: None, lora_adapter_metadata="{}")
    with pytest.raises(ValueError, match="does not say its rank and alpha"):
        load_lora_file(again, PAPER, tmp_path / DIFFUSERS)


def test_other_files_are_refused(files: Callable[..., Any], parts: Parts, tmp_path: Path) -> None:
    files()
    again = copy.deepcopy(parts.unet)
    add_lora(again, PAPER, 1)

    def with_text(tensors: dict[str, Tensor]) -> None:
        tensors["text_encoder.q.lora_A.weight"] = torch.zeros(2)

    rewrite(tmp_path / DIFFUSERS, with_text)
    with pytest.raises(ValueError, match=r"has 'text_encoder\.q"):
        load_lora_file(again, PAPER, tmp_path / DIFFUSERS)
    (tmp_path / KOHYA).write_bytes((tmp_path / KOHYA).read_bytes()[:900])
    for gone in (KOHYA, "nowhere.safetensors"):
        with pytest.raises(ValueError, match="cannot be read"):
            load_lora_file(again, PAPER, tmp_path / gone)


def test_the_bytes_of_a_file_follow_from_its_content(parts: Parts) -> None:
    unet = trained(parts.unet)
    assert diffusers_file(unet, PAPER) == diffusers_file(unet, PAPER)
    assert kohya_file(unet, PAPER) == kohya_file(unet, PAPER)
    length = int.from_bytes(kohya_file(unet, PAPER)[:8], "little")
    told = json.loads(kohya_file(unet, PAPER)[8 : 8 + length])["__metadata__"]
    assert (told["ss_network_dim"], told["ss_network_alpha"]) == ("16", "32")
    assert told["ss_network_module"] == "networks.lora"


def test_a_target_that_no_layer_has_is_refused(parts: Parts) -> None:
    settings = AdapterSettings(targets=("to_q", "to_z"))
    with pytest.raises(ValueError, match=r"adapter\.targets: 'to_z'"):
        add_lora(copy.deepcopy(parts.unet), settings, 0)
    with pytest.raises(ValueError, match="should not repeat itself"):
        AdapterSettings(targets=("to_q", "to_q"))


def test_matrices_stay_float32_beside_half_layers(parts: Parts) -> None:
    unet = copy.deepcopy(parts.unet).to(torch.bfloat16)
    add_lora(unet, AdapterSettings(initial="gaussian"), 0)
    assert {one.dtype for one in lora_parameters(unet).values()} == {torch.float32}
    assert unet.conv_in.weight.dtype == torch.bfloat16


def test_the_card_names_a_base_model_that_a_hub_knows() -> None:
    from models.adapters.card import card
    from schemas.adapter import AdapterRecord
    from schemas.run import ModelIdentity

    for model, named in (("someone/sd-1-5", True), ("/models/sd15", False)):
        base = ModelIdentity(model=model, revision="main", weights={})
        told = card(AdapterRecord(adapter=PAPER, base=base, weights_sha256="0"), 12_374_016)
        assert (f"base_model: {model}" in told) == named
        assert "12,374,016 parameters" in told
        assert "Unknown: these weights came from elsewhere." in told
