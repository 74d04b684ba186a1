"""The pair generator on tiny checkpoints of every family, through the real pipelines."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.generators.build import build_generator
from models.generators.diffusers_pair.generator import DiffusersGenerator, to_levels
from models.generators.generator import Pixels
from schemas.config import DatasetConfig
from schemas.endings import CannotGoOn
from schemas.sample import PlannedSample, Stage

Pair = Callable[..., DatasetConfig]
Samples = list[PlannedSample]
FAMILIES = ("flux", "sd35", "sd15")


def loaded(config: DatasetConfig, *stages: Stage) -> DiffusersGenerator:
    generator = build_generator(config)
    assert isinstance(generator, DiffusersGenerator)
    generator.load(stages or None)
    return generator


def equal(a: Pixels, b: Pixels) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_every_family_keeps(family: str, dtype: str, pair: Pair, samples: Samples) -> None:
    config = pair(family, generator={"dtype": dtype})
    generator = loaded(config)
    made = generator.make(samples)
    assert list(made) == ["source", "target", "teacher"]
    for pixels in made.values():
        assert (pixels.shape, pixels.dtype) == ((4, 64, 64, 3), np.uint8)
        assert pixels.std() > 10
        assert not equal(pixels[0], pixels[1])

    # A sample's companions, its place and their number leave its bytes alone. They are four at
    # least: for fewer rows some processors' libraries multiply float32 in another order.
    others = generator.make([samples[place] for place in (3, 0, 0, 1)])
    more = generator.make([samples[place] for place in (0, 2, 1, 1, 3)])
    pair, turned = (generator.make([samples[a], samples[b]]) for a, b in ((0, 2), (1, 0)))
    for stage, pixels in made.items():
        assert equal(pair[stage][0], turned[stage][1]), stage
        assert equal(others[stage], pixels[[3, 0, 0, 1]]), stage
        assert equal(more[stage], pixels[[0, 2, 1, 1, 3]]), stage

    # In two phases, each with its own models alone, the bytes are those of one.
    source = loaded(config, "source").make(samples)
    assert list(source) == ["source"]
    target = loaded(config, "target").make(samples, given=source)
    assert list(target) == ["target"]
    assert equal(source["source"], made["source"])
    assert equal(target["target"], made["target"])


def plain(config: DatasetConfig, name: str, stage: Stage, samples: Samples, **more: Any) -> Pixels:
    """The pictures as a user of diffusers would make them: by prompt, as PIL images."""
    settings = config.stage[stage]
    pipeline = getattr(diffusers, name).from_pretrained(settings.model, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    if "StableDiffusionImg2Img" in name:  # PNDM, its own sampler, cannot begin midway
        noise = pipeline.scheduler.config
        pipeline.scheduler = diffusers.DDIMScheduler.from_config(noise, clip_sample=False)
    pictures = pipeline(
        [sample.prompt for sample in samples],
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        generator=[torch.Generator().manual_seed(one.seeds[stage]) for one in samples],
        **more,
    ).images
    return np.stack([np.asarray(picture) for picture in pictures])


@pytest.mark.parametrize(
    ("family", "name"),
    [("flux", "Flux"), ("sd35", "StableDiffusion3"), ("sd15", "StableDiffusion")],
)
def test_as_the_pipelines_by_themselves(
    family: str, name: str, pair: Pair, samples: Samples
) -> None:
    config = pair(family, dataset={"stages": ["target", "source", "teacher"]})
    made = loaded(config).make(samples)
    tokens = {} if family == "sd15" else {"max_sequence_length": 256}
    size = {"height": 64, "width": 64}
    pipeline = f"{name}Pipeline"
    assert equal(made["source"], plain(config, pipeline, "source", samples, **tokens, **size))
    assert equal(made["teacher"], plain(config, pipeline, "teacher", samples, **tokens, **size))
    given = {"image": made["source"].astype(np.float32) / 255, "strength": 0.7}
    if family != "sd15":
        given |= size
    image_to_image = f"{name}Img2ImgPipeline"
    wanted = plain(config, image_to_image, "target", samples, **tokens, **given)
    assert equal(made["target"], wanted)


def test_prompts_are_encoded_once_where_both_read_alike(
    pair: Pair, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = loaded(pair())
    counts = []
    encode = diffusers.FluxPipeline._get_t5_prompt_embeds

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        counts.append(1)
        return encode(self, *args, **kwargs)

    monkeypatch.setattr(diffusers.FluxPipeline, "_get_t5_prompt_embeds", counted)
    monkeypatch.setattr(diffusers.FluxImg2ImgPipeline, "_get_t5_prompt_embeds", counted)
    first = generator.make(samples)
    assert len(counts) == 1
    again = generator.make(samples)
    assert len(counts) == 1
    generator.make(samples[:2])
    assert len(counts) == 2
    assert all(equal(again[stage], first[stage]) for stage in first)


def test_the_empty_prompt_is_read_once_for_all_batches(
    pair: Pair, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turbo is not guided and large is; both read the prompts in the same encoders."""
    generator = loaded(pair("sd35"))
    read: list[list[str]] = []
    encoders = (diffusers.StableDiffusion3Pipeline, diffusers.StableDiffusion3Img2ImgPipeline)
    for cls in encoders:

        def counted(self: Any, prompt: Any, *args: Any, encode: Any = None, **kwargs: Any) -> Any:
            read.append(prompt)
            return encode(self, prompt, *args, **kwargs)

        encode = partial(counted, encode=cls._get_t5_prompt_embeds)
        monkeypatch.setattr(cls, "_get_t5_prompt_embeds", partialmethod(encode))
    generator.make(samples)
    generator.make(samples[:2])
    generator.make(samples[2:])
    prompts = [sample.prompt for sample in samples]
    assert read == [prompts, [""] * 4, prompts[:2], [""] * 2, prompts[2:]]


@pytest.mark.parametrize(("steps", "strength"), [(4, 0.7), (10, 0.55)])
@pytest.mark.parametrize("family", ["flux", "sd35"])
def test_img2img_runs_the_steps_that_the_forecast_counts(
    family: str, steps: int, strength: float, pair: Pair, samples: Samples
) -> None:
    config = pair(family, target={"steps": steps, "strength": strength})
    generator = loaded(config, "target")
    calls: list[int] = []
    denoiser = generator.pipelines["target"].run.transformer
    denoiser.register_forward_pre_hook(lambda *_: calls.append(1))
    generator.make(samples[:2], {"source": np.zeros((2, 64, 64, 3), np.uint8)})
    assert len(calls) == config.stage["target"].effective_steps


def test_text_length_changes_flux_pictures(pair: Pair, samples: Samples) -> None:
    short, long = (
        loaded(pair(generator={"text_tokens": tokens}), "source") for tokens in (256, 512)
    )
    assert short.numerics()["text_tokens"] == 256
    assert long.numerics()["text_tokens"] == 512
    assert not equal(short.make(samples)["source"], long.make(samples)["source"])


def test_identity_and_numerics(tiny: Path, pair: Pair) -> None:
    generator = build_generator(pair())
    identity = generator.identity()
    source, target = identity["source"], identity["target"]
    assert (source.model, source.revision) == (str(tiny / "flux-schnell"), "tiny")
    assert generator.revisions()["target"] == (str(tiny / "flux-dev"), "tiny")
    assert "text_encoder_2/model.safetensors" in source.weights
    assert "tokenizer/merges.txt" in source.weights
    assert source.weights["vae/config.json"] == target.weights["vae/config.json"]
    transformer = "transformer/diffusion_pytorch_model.safetensors"
    assert source.weights[transformer] != target.weights[transformer]
    assert generator.numerics() == {
        "dtype": "float32",
        "text_tokens": 256,
        "profile": "exact",
        "threads": 1,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }
    fast = build_generator(pair("sd15", generator={"profile": "fast", "threads": 2})).numerics()
    assert (fast["text_tokens"], fast["profile"], fast["threads"]) == (77, "fast", 2)


def test_a_lora_changes_the_source_alone(tiny: Path, pair: Pair, samples: Samples) -> None:
    file = tiny / "flux-lora" / "pytorch_lora_weights.safetensors"
    bare = loaded(pair())
    # The source's model is the teacher's too, so a shared denoiser would show.
    models = {"teacher": {"model": str(tiny / "flux-schnell"), "guidance": 0.0}}
    with_lora, stronger = (
        loaded(pair(generator={"lora": str(file), "lora_weight": weight}, **models))
        for weight in (1.0, 2.0)
    )
    without = loaded(pair(**models)).make(samples)
    once, twice = with_lora.make(samples), stronger.make(samples)
    assert not equal(once["source"], without["source"])
    assert not equal(once["source"], twice["source"])
    assert equal(once["teacher"], without["teacher"])
    given = {"source": without["source"]}
    assert equal(with_lora.make(samples, given)["target"], bare.make(samples, given)["target"])
    name = f"lora/{file.name}"
    identity = with_lora.identity()
    assert len(identity["source"].weights[name]) == 64
    assert name not in identity["target"].weights


def test_no_number_is_kept_and_leaves_the_others_alone(
    tiny: Path, tmp_path: Path, pair: Pair, samples: Samples
) -> None:
    broken = Path(shutil.copytree(tiny / "flux-schnell", tmp_path / "broken"))
    weights = broken / "transformer" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["proj_out.bias"][:] = torch.nan
    save_file(tensors, weights, {"format": "pt"})
    made = loaded(pair(source={"model": str(broken)}), "source", "target").make(samples)
    assert made["source"].dtype == np.float32
    assert np.isnan(made["source"]).all()
    assert made["target"].dtype == np.uint8

    whole = loaded(pair(), "source", "target")
    sources = whole.make(samples)["source"]
    spoilt = sources.astype(np.float32) / 255
    spoilt[1, 2, 3] = np.nan
    wanted = whole.make(samples, {"source": sources})["target"]
    target = whole.make(samples, {"source": spoilt})["target"]
    assert equal(target[[0, 2, 3]], wanted[[0, 2, 3]])


def test_levels_round_as_a_png_does() -> None:
    floats = np.array([-1, 0, 0.5 / 255, 1.5 / 255, 1, 2, np.nan], np.float32)
    assert to_levels(floats).tolist() == [0, 0, 0, 2, 255, 255, 0]


def test_a_gpu_that_is_asked_for_is_not_done_without(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    generator = build_generator(pair(generator={"device": "cuda"}))
    # A driver without a GPU knows what its workers will have.
    assert generator.numerics()["device"] == "cuda"
    with pytest.raises(ValueError, match=r"generator\.device = 'cuda': no CUDA device is seen"):
        generator.load()


def test_out_of_memory_names_the_batch(
    pair: Pair, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = loaded(pair(), "source")

    def full(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(diffusers.FluxPipeline, "__call__", full)
    with pytest.raises(CannotGoOn, match=r"batch_size = 4: .* --dataset\.batch_size 2"):
        generator.make(samples)
    with pytest.raises(CannotGoOn, match=r"size_px = 64: too large .* at batch_size = 2"):
        generator.make(samples[:2])


def test_out_of_memory_while_loading_names_the_model(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(diffusers.FluxImg2ImgPipeline, "to", full)
    with pytest.raises(
        ValueError,
        match=r"^stage\.target\.model = .* too large .* beside source; .* two-phase$",
    ):
        loaded(pair())


def test_what_would_be_ignored_is_refused(pair: Pair, samples: Samples) -> None:
    with pytest.raises(ValueError, match=r"stage\.source\.guidance = 3\.0: .* ignores guidance"):
        loaded(pair(source={"guidance": 3.0}))
    generator = loaded(pair(), "target")
    with pytest.raises(ValueError, match="no source was loaded or given"):
        generator.make(samples)
    small = {"source": np.zeros((4, 32, 32, 3), np.uint8)}
    with pytest.raises(ValueError, match=r"shape \(4, 32, 32, 3\); it should be \(4, 64, 64, 3\)"):
        generator.make(samples, small)


def test_a_prompt_is_never_cut(pair: Pair, samples: Samples) -> None:
    generator = loaded(pair(generator={"text_tokens": 8}), "source")
    with pytest.raises(CannotGoOn, match=r"has \d+ tokens, and 8 are read; .*--generator\.text"):
        generator.make(samples)
