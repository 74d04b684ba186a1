"""Source and head from a prompt, in the way of diffusers, on a tiny FLUX."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.heads.build import build_network
from models.heads.head import Head
from models.relume_pipeline import RelumePipeline
from models.tiny.write import write
from schemas.head import ResnetSettings

CALL = {"height": 64, "width": 64, "num_inference_steps": 1, "guidance_scale": 0.0}


@pytest.fixture(scope="module")
def head() -> Head:
    settings = ResnetSettings(width=4, num_blocks=1, residual_output=True)
    network = build_network(settings, seed=0)
    torch.nn.init.normal_(network.last.weight, std=0.1, generator=torch.Generator().manual_seed(1))
    return Head(network, settings)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write("flux-schnell", tmp_path_factory.mktemp("tiny") / "flux-schnell")


def chance() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_a_prompt_becomes_an_enhanced_picture(head: Head, source: Path) -> None:
    pipeline = RelumePipeline.from_pretrained(source, head=head)
    made = pipeline(["a portrait", "another"], generator=chance(), **CALL)
    assert [one.size for one in made.images] == [(64, 64)] * 2
    for image, given in zip(made.images, made.sources, strict=True):
        alone = head(np.asarray(given)).astype(int)
        # In company the last digits differ.
        assert np.abs(np.asarray(image) - alone).max() <= 1
        assert np.abs(np.asarray(given) - alone).max() > 10
    # The sources are those that the source's own pipeline makes.
    alone = pipeline.source(["a portrait", "another"], generator=chance(), **CALL).images
    assert all(
        one.tobytes() == other.tobytes() for one, other in zip(made.sources, alone, strict=True)
    )
    images, sources = pipeline(
        "a portrait", generator=chance(), output_type="np", return_dict=False, **CALL
    )
    assert images.shape == sources.shape == (1, 64, 64, 3)
    assert images.dtype == np.float32
    assert 0 <= images.min() < images.max() <= 1


def test_it_comes_back_as_it_was_saved(head: Head, source: Path, tmp_path: Path) -> None:
    head.save(tmp_path / "head")
    pipeline = RelumePipeline.from_pretrained(source, head=tmp_path / "head")
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(tmp_path / "saved")
    pipeline.save_pretrained(tmp_path / "saved")
    told = json.loads((tmp_path / "saved" / "model_index.json").read_text())
    assert told["_class_name"] == "RelumePipeline"
    again = RelumePipeline.from_pretrained(tmp_path / "saved").to("cpu")
    assert again.head.weights_sha256 == head.weights_sha256
    assert {"transformer", "vae", "head"} <= again.components.keys()
    one, other = (
        each("a portrait", generator=chance(), **CALL).images[0] for each in (pipeline, again)
    )
    assert isinstance(one, Image.Image)
    assert one.tobytes() == other.tobytes()


def test_what_is_no_pipeline_is_named(head: Head, source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds a source alone; .* head=FOLDER"):
        RelumePipeline.from_pretrained(source)
    with pytest.raises(ValueError, match="nowhere"):
        RelumePipeline.from_pretrained(tmp_path / "nowhere", head=head)
    (tmp_path / "mine").mkdir()
    for name in ("text", "model_index.json"):
        (tmp_path / "mine" / name).write_text("{")
        with pytest.raises(ValueError, match="is there and is no such pipeline"):
            RelumePipeline.from_pretrained(source, head=head).save_pretrained(tmp_path / "mine")
