"""CLIP and DINOv2 as measures see through them, on tiny folders of the published layout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.features import vision_hub
from models.features.clip import load_clip_iqa, load_cmmd
from models.features.dinov2 import load_dinov2
from models.features.identity import IdentityFeatures
from models.generators.procedural.painter import paint_source
from models.generators.procedural.people import draw_people
from schemas.audit import DeepFaceSettings


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, size, dtype=np.uint8) for size in ((96, 80, 3), (64, 64, 3))]


@pytest.mark.parametrize(
    ("load", "kind", "width"), [(load_cmmd, "clip", 24), (load_dinov2, "dinov2", 32)]
)
def test_features_tell_pictures_apart(load, kind: str, width: int, tiny: Path) -> None:  # type: ignore[no-untyped-def]
    network = load(str(tiny / kind))
    found = network.of_levels(pictures())
    assert found.shape == (2, width)
    assert found.dtype == np.float32
    assert np.abs(found[0] - found[1]).max() > 0.01
    alone = np.concatenate([network.of_levels([one]) for one in pictures()])
    np.testing.assert_allclose(alone, found, rtol=1e-4, atol=1e-5)
    if kind == "clip":
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_cmmd_sees_what_its_authors_show(tiny: Path) -> None:
    from transformers import CLIPVisionModelWithProjection

    picture = pictures()[0]
    levels = torch.from_numpy(picture).permute(2, 0, 1)[None].double() / 255
    shown = torch.nn.functional.interpolate(levels, (64, 64), mode="bicubic")
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    spread = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    model = CLIPVisionModelWithProjection.from_pretrained(tiny / "clip").double().eval()
    with torch.inference_mode():
        wanted = model((shown - mean) / spread).image_embeds[0]
    ours = load_cmmd(str(tiny / "clip")).of_levels([picture])[0]
    np.testing.assert_allclose(ours, (wanted / wanted.norm()).numpy(), atol=1e-5)


def test_clip_iqa_is_what_transformers_own_processor_leads_to(tiny: Path) -> None:
    from transformers import CLIPModel, CLIPProcessor

    folder = tiny / "clip"
    model = CLIPModel.from_pretrained(folder).eval()
    processor = CLIPProcessor.from_pretrained(folder)
    people = draw_people(["A portrait of Name Number1", "A portrait of Other Name"], range(2))
    shown = [*paint_source(people, 128), *pictures()]
    texts = (("Good photo.", "Bad photo."), ("Sharp photo.", "Blurry photo."))
    given = processor(
        text=[text for pair in texts for text in pair],
        images=[Image.fromarray(one) for one in shown],
        return_tensors="pt",
        padding=True,
    )
    with torch.inference_mode():
        told = model(**given)
    alike = 100 * told.image_embeds @ told.text_embeds.T
    wanted = alike.view(len(shown), 2, 2).softmax(-1)[..., 0].numpy()
    ours = load_clip_iqa(str(folder), texts=texts).of_levels(shown)
    assert ours.shape == (4, 2)
    np.testing.assert_allclose(ours, wanted, rtol=1e-3, atol=1e-6)
    assert 0.01 < ours[:, 0].min() < ours[:, 0].max() < 0.99


@pytest.mark.parametrize(
    ("load", "kind"), [(load_cmmd, "clip"), (load_clip_iqa, "clip"), (load_dinov2, "dinov2")]
)
def test_a_range_is_never_guessed(load, kind: str, tiny: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="should be uint8"):
        load(str(tiny / kind)).of_levels([pictures()[0] / 255])


def test_dinov2_gives_the_normed_class_token(tiny: Path) -> None:
    from transformers import Dinov2Model

    picture = np.random.default_rng(2).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    unit = torch.from_numpy(picture).permute(2, 0, 1)[None].double() / 255
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    spread = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    model = Dinov2Model.from_pretrained(tiny / "dinov2").double().eval()
    with torch.inference_mode():
        wanted = model((unit - mean) / spread).pooler_output[0].numpy()
    ours = load_dinov2(str(tiny / "dinov2")).of_levels([picture])[0]
    np.testing.assert_allclose(ours, wanted, rtol=1e-3, atol=1e-4)


def test_missing_models_are_named_with_the_mend(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for load in (load_cmmd, load_clip_iqa, load_dinov2):
        with pytest.raises(ValueError, match=r"models--.*: '.*/.*' is missing there; .*--metrics"):
            load()
    with pytest.raises(ValueError, match=r"class_embedding' is missing, and \d+ more: .*--metrics"):
        load_cmmd(str(tiny / "dinov2"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=rf"{empty}: cannot be loaded: .*relume fetch --metrics$"):
        load_dinov2(str(empty))
    other = Path(shutil.copytree(tiny / "dinov2", tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "hidden_size": 16}))
    with pytest.raises(ValueError, match=rf"{other}: cannot be loaded: .*relume fetch --metrics$"):
        load_dinov2(str(other))


def test_what_is_fetched_is_what_is_loaded() -> None:
    kinds = vision_hub.HUB_MODELS
    assert {kind: one.model for kind, one in kinds.items()} == {
        "dinov2": "facebook/dinov2-large",
        "cmmd": "openai/clip-vit-large-patch14-336",
        "clip_iqa": "openai/clip-vit-base-patch16",
        "clip_score": "openai/clip-vit-large-patch14",
    }
    assert all("config.json" in one.files for one in kinds.values())


def test_none_of_it_needs_torchvision(tiny: Path) -> None:
    code = (
        "import sys; sys.modules['torchvision'] = None\n"
        "import numpy as np\n"
        "from models.features.clip import load_clip_iqa, load_cmmd\n"
        "from models.features.dinov2 import load_dinov2\n"
        "from models.features.inception import load_inception\n"
        "from pathlib import Path\n"
        "tiny, one = Path(sys.argv[1]), [np.zeros((64, 64, 3), np.uint8)]\n"
        "load_clip_iqa(str(tiny / 'clip')).of_levels(one)\n"
        "load_cmmd(str(tiny / 'clip')).of_levels(one)\n"
        "load_dinov2(str(tiny / 'dinov2')).of_levels(one)\n"
        "load_inception(tiny / 'inception').of_levels(one, 'clean')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tiny)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_identity_is_arcfaces_and_nan_without_a_face(tiny: Path) -> None:
    settings = DeepFaceSettings(detector="retinaface", weights=str(tiny / "deepface-onnx"))
    network = IdentityFeatures(settings)
    people = draw_people(["A portrait of Name Number1", "A portrait of Other Name"], range(2))
    one, other = paint_source(people, 128)
    found = network.of_levels([one, np.zeros((64, 64, 3), np.uint8), other, one])
    assert found.shape == (4, 512)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(np.linalg.norm(found[[0, 2, 3]], axis=1), 1)
    np.testing.assert_allclose(found[0], found[3])
    assert np.abs(found[0] - found[2]).max() > 1e-3
    with pytest.raises(ValueError, match=r"picture 0: is float64 .*should be uint8"):
        network.of_levels([one / 255])  # type: ignore[list-item]


def test_identity_names_missing_weights(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is missing.*relume fetch --faces"):
        IdentityFeatures(DeepFaceSettings(weights=str(tmp_path)))
