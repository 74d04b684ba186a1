"""What two pipelines share, what they never share, LoRAs, and compiled blocks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.generators.diffusers_pair.generator import DiffusersGenerator
from schemas.config import DatasetConfig
from schemas.sample import PlannedSample, Stage

Pair = Callable[..., DatasetConfig]
LORA = "pytorch_lora_weights.safetensors"


def pipelines(config: DatasetConfig) -> dict[Stage, Any]:
    generator = DiffusersGenerator(config)
    generator.load()
    return {stage: pipeline.run for stage, pipeline in generator.pipelines.items()}


def test_equal_components_are_in_memory_once(pair: Pair) -> None:
    run = pipelines(pair())
    source, target, teacher = run["source"], run["target"], run["teacher"]
    for component in ("vae", "text_encoder", "text_encoder_2"):
        assert (
            getattr(source, component) is getattr(target, component) is getattr(teacher, component)
        )
    assert target.transformer is teacher.transformer
    assert source.transformer is not target.transformer
    # A scheduler keeps its place in a schedule, so it is never shared.
    assert len({id(pipeline.scheduler) for pipeline in run.values()}) == 3


def test_other_weights_are_loaded_beside(tiny: Path, tmp_path: Path, pair: Pair) -> None:
    other = Path(shutil.copytree(tiny / "flux-dev", tmp_path / "dev"))
    weights = other / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["decoder.conv_out.bias"] += 1
    save_file(tensors, weights, {"format": "pt"})
    run = pipelines(pair(target={"model": str(other)}))
    assert run["source"].vae is not run["target"].vae
    assert run["source"].text_encoder_2 is run["target"].text_encoder_2


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("text encoder", "changes 'text_encoder.* too; use a LoRA of the transformer that was"),
        ("other blocks", "does not fit: Target modules .*; use a LoRA of the transformer"),
        ("more blocks", r"has no place for '.*' \(14 do not match\); use a LoRA of the transf"),
        ("half a layer", r"does not fit: '.*lora_B.weight'; use a LoRA of the transformer"),
        ("a renamed half", r"does not fit: '.*lora_B.weight'; use a LoRA of the transformer"),
        ("other widths", "does not fit: .*; use a LoRA of the transformer"),
        ("no LoRA", "does not fit: Invalid LoRA checkpoint"),
        ("no weights", "does not fit: .*; use a LoRA of the transformer"),
    ],
)
def test_a_lora_that_does_not_fit(
    change: str, wanted: str, tiny: Path, tmp_path: Path, pair: Pair
) -> None:
    file = tmp_path / LORA
    tensors = load_file(tiny / "flux-lora" / LORA)
    first = sorted(tensors)[0]
    others = {name.replace("blocks.0", "blocks.7"): one.clone() for name, one in tensors.items()}
    half = next(name for name in sorted(tensors) if "lora_B" in name)
    others_halves = {name: one for name, one in tensors.items() if name != half}
    changes = {
        "half a layer": others_halves,
        "a renamed half": others_halves | {half.replace("blocks.0", "blocks.7"): tensors[half]},
        "text encoder": {first.replace("transformer.", "text_encoder.", 1): tensors[first]},
        "other blocks": others,
        "more blocks": tensors | others,
        "other widths": {name: one.repeat(2, 2) for name, one in tensors.items()},
        "no LoRA": {"transformer.x": torch.ones(1)},
    }
    if change == "no weights":
        file.write_bytes(b"not a safetensors file")
    else:
        save_file(changes[change], file, {"format": "pt"})
    with pytest.raises(ValueError, match=wanted) as caught:
        pipelines(pair(generator={"lora": str(file)}, dataset={"stages": ["source"]}))
    assert str(caught.value).startswith(f"generator.lora = {str(file)!r}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["no.safetensors", "pickled.bin"])
def test_a_lora_that_is_not_there_or_pickled(name: str, tmp_path: Path, pair: Pair) -> None:
    (tmp_path / "pickled.bin").touch()
    generator = DiffusersGenerator(pair(generator={"lora": str(tmp_path / name)}))
    for act in (generator.load, generator.identity):
        with pytest.raises(ValueError, match=rf"lora = '.*{name}': no such \.safetensors file"):
            act()


@pytest.mark.parametrize("family", ["flux", "sd35", "sd15"])
def test_the_fast_profile_compiles_each_block_once(
    family: str, pair: Pair, samples: list[PlannedSample], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def compile_without_inductor(self: torch.nn.Module, **options: Any) -> None:
        """Compiling itself takes half a minute a family; that they are chosen is what is asked."""
        assert options == {"fullgraph": True, "dynamic": False}
        compiled.append(type(self).__name__)
        self._compiled_call_impl = self._call_impl

    monkeypatch.setattr(torch.nn.Module, "compile", compile_without_inductor)
    fast = DiffusersGenerator(pair(family, generator={"profile": "fast"}))
    fast.load()
    blocks = {
        "flux": ["FluxTransformerBlock", "FluxSingleTransformerBlock"] * 2,
        "sd35": ["JointTransformerBlock"] * 4,
        "sd15": ["BasicTransformerBlock"] * 4,
    }
    assert compiled == blocks[family]
    made = fast.make(samples)
    exact = DiffusersGenerator(pair(family))
    exact.load()
    wanted = exact.make(samples)
    # SD 1.5 always reads 77 tokens; the others read fewer now.
    assert np.array_equal(made["source"], wanted["source"]) == (family == "sd15")
