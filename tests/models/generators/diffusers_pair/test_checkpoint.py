"""Finding a model's files, and saying in one line what is missing and how to get it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.checksums import sha256_of
from models.generators.build import build_generator
from models.generators.diffusers_pair.checkpoint import find_checkpoint, same_component
from models.generators.diffusers_pair.families import family_of
from models.generators.diffusers_pair.loading import Loader
from schemas.config import DatasetConfig
from schemas.generator import DiffusersSettings
from schemas.sample import PlannedSample

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Pair = Callable[..., DatasetConfig]


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A tiny FLUX to be broken."""
    return Path(shutil.copytree(tiny / "flux-schnell", tmp_path / "copy"))


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds one fetched model."""
    hub = tmp_path / "hub"
    fetched = hub / "models--tiny--flux"
    shutil.copytree(tiny / "flux-schnell", fetched / "snapshots" / COMMIT)
    (fetched / "refs").mkdir()
    (fetched / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    return hub


def test_a_fetched_model_is_known_by_its_commit_and_nobody_is_called(
    hub: Path, pair: Pair, samples: list[PlannedSample], monkeypatch: pytest.MonkeyPatch
) -> None:
    def called(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr("socket.socket.connect", called)
    monkeypatch.setattr("socket.getaddrinfo", called)
    generator = build_generator(
        pair(
            source={"model": "tiny/flux", "revision": "main"},
            teacher={"model": "tiny/flux", "revision": COMMIT, "guidance": 0.0},
            dataset={"stages": ["source", "teacher"]},
        )
    )
    assert generator.revisions() == dict.fromkeys(("source", "teacher"), ("tiny/flux", COMMIT))
    identity = generator.identity()
    assert identity["source"] == identity["teacher"]
    generator.load()
    assert set(generator.make(samples)) == {"source", "teacher"}


@pytest.mark.parametrize(
    ("model", "revision", "wanted"),
    [
        ("no/model", "main", "'no/model': revision 'main' is not in {hub}/models--no--model; "),
        ("tiny/flux", "v2", "'tiny/flux': revision 'v2' is not in {hub}/models--tiny--flux; "),
        ("./nowhere", "main", "'./nowhere': no such folder, and no hub id either; "),
        ("/no/such/one", "main", "'/no/such/one': no such folder, and no hub id either; "),
        ("word", "main", "'word': no such folder, and no hub id either; "),
    ],
)
def test_a_missing_model(hub: Path, pair: Pair, model: str, revision: str, wanted: str) -> None:
    generator = build_generator(pair(target={"model": model, "revision": revision}))
    for act in (generator.identity, generator.load, generator.revisions):
        with pytest.raises(ValueError, match=r"^stage\.target\.model = ") as caught:
            act()
        assert wanted.format(hub=hub) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no model_index\.json, so it is no diffusers model"):
        find_checkpoint(str(tmp_path), "main")


@pytest.mark.parametrize(
    "file",
    [
        "transformer/diffusion_pytorch_model.safetensors",
        "text_encoder_2/config.json",
        "tokenizer",
        "vae",
    ],
)
def test_a_file_that_is_missing(copy: Path, pair: Pair, file: str) -> None:
    target = copy / file
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    generator = build_generator(pair(source={"model": str(copy)}))
    for act in (generator.identity, generator.load):
        with pytest.raises(ValueError, match=f"{file.split('/')[0]}.* is missing; get it with:"):
            act()


def test_weights_in_pieces(tiny: Path, copy: Path) -> None:
    folder = copy / "transformer"
    whole = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(whole)
    names = sorted(tensors)
    pieces = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    for piece, inside in pieces.items():
        save_file({name: tensors[name] for name in inside}, folder / piece, {"format": "pt"})
    weight_map = {name: piece for piece, inside in pieces.items() for name in inside}
    (folder / f"{whole.name}.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )
    whole.unlink()
    checkpoint = find_checkpoint(str(copy), "tiny")
    files = [path.name for path in checkpoint.files("transformer")]
    assert files == ["config.json", "a.safetensors", "b.safetensors"]
    assert not same_component(
        checkpoint, find_checkpoint(str(tiny / "flux-schnell"), ""), "transformer"
    )
    loader = Loader(DiffusersSettings(), torch.device("cpu"))
    run = loader.load(checkpoint, from_image=False, lora=None).run
    for name, tensor in run.transformer.state_dict().items():
        assert torch.equal(tensor, tensors[name].bfloat16())
    (folder / "b.safetensors").unlink()
    with pytest.raises(ValueError, match=r"b\.safetensors is missing"):
        checkpoint.sha256()


def test_a_component_is_the_same_only_weight_by_weight(tiny: Path, copy: Path) -> None:
    schnell, dev = (find_checkpoint(str(tiny / f"flux-{name}"), "") for name in ("schnell", "dev"))
    ours = find_checkpoint(str(copy), "")
    assert same_component(schnell, dev, "vae")
    assert same_component(ours, dev, "text_encoder_2")
    assert not same_component(schnell, dev, "transformer")

    # What a config tells of its own history does not count.
    config = copy / "text_encoder" / "config.json"
    settings = json.loads(config.read_text()) | {"_name_or_path": "x", "dtype": "bfloat16"}
    config.write_text(json.dumps(settings))
    assert same_component(ours, dev, "text_encoder")
    config.write_text(json.dumps(settings | {"hidden_act": "gelu"}))
    assert not same_component(ours, dev, "text_encoder")

    # One weight in another place, in a file of the same size.
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    before = sha256_of([weights])[weights]
    tensors = load_file(weights)
    tensors["decoder.conv_out.bias"] += 1
    save_file(tensors, weights, {"format": "pt"})
    assert sha256_of([weights])[weights] != before
    assert not same_component(ours, dev, "vae")


def test_another_family_is_refused_by_name(copy: Path, pair: Pair) -> None:
    index = copy / "model_index.json"
    index.write_text(index.read_text().replace("FluxPipeline", "SanaPipeline"))
    wanted = r"_class_name = 'SanaPipeline' .* FluxPipeline \(FLUX\), StableDiffusion3Pipeline \(SD"
    with pytest.raises(ValueError, match=wanted):
        family_of(find_checkpoint(str(copy), ""))
    with pytest.raises(ValueError, match=wanted):
        build_generator(pair(source={"model": str(copy)})).load()
    index.write_text("{")
    with pytest.raises(ValueError, match=r"model_index\.json: is not JSON"):
        build_generator(pair(source={"model": str(copy)})).load()
