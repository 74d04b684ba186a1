"""Inpainting with tiny models of 4 and of 9 channels: what is painted, by which seed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from models.stable_diffusion.inpainting import Inpainter
from schemas.facepairs import InpaintSettings

KINDS = ("sd15", "sd15-inpainting")
PICTURES = np.random.default_rng(3).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
MASKS = np.zeros((3, 64, 64), bool)
MASKS[:, 16:48, 16:40] = True
PROMPTS = ["A face", "A man", "A woman"]


def inpainter(tiny: Path, kind: str, **changes: object) -> Inpainter:
    given = {"dtype": "float32", "device": "cpu", "steps": 10} | changes
    made = Inpainter(InpaintSettings(model=str(tiny / kind), revision="tiny", **given))
    made.load()
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_mask_is_painted_by_its_own_seed(tiny: Path, kind: str) -> None:
    painter = inpainter(tiny, kind)
    painted = painter.paint(PICTURES, MASKS, PROMPTS, [1, 2, 3], 0.4)
    assert painted.pixels.shape == PICTURES.shape
    assert painted.withheld == [False] * 3
    assert np.isfinite(painted.pixels).all()
    again = painter.paint(PICTURES, MASKS, PROMPTS, [1, 2, 3], 0.4)
    assert np.array_equal(painted.pixels, again.pixels)
    other = painter.paint(PICTURES, MASKS, PROMPTS, [1, 7, 3], 0.4)
    for number, same in enumerate((True, False, True)):
        assert np.array_equal(painted.pixels[number], other.pixels[number]) is same
    stronger = painter.paint(PICTURES, MASKS, PROMPTS, [1, 2, 3], 1.0)
    assert not np.allclose(painted.pixels[MASKS], stronger.pixels[MASKS], atol=0.01)


def test_a_plain_model_is_held_to_the_picture_outside(tiny: Path) -> None:
    """Latents outside the mask end as those of the picture, so only the decoder changes it."""
    painter = inpainter(tiny, "sd15")
    painted = painter.paint(PICTURES, MASKS, PROMPTS, [1, 2, 3], 0.4).pixels
    nothing = painter.paint(PICTURES, np.zeros_like(MASKS), PROMPTS, [1, 2, 3], 0.4).pixels
    vae = painter._pipeline.vae
    shown = torch.from_numpy(PICTURES).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        # Encodings are drawn by the samples' own generators, the first thing that these give.
        latents = torch.cat(
            [
                vae.encode(shown[n : n + 1]).latent_dist.sample(
                    torch.Generator().manual_seed(n + 1)
                )
                for n in range(3)
            ]
        )
        through = (vae.decode(latents).sample / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    assert np.allclose(nothing, through, atol=1e-5)
    assert not np.allclose(painted[MASKS], through[MASKS], atol=0.01)


def test_a_scheduler_that_begins_midway_arrives(tiny: Path) -> None:
    """Given the true noise at every step, ddim ends where it should; PNDM stops a step before."""
    wrong = {}
    for scheduler in ("ddim", "checkpoint"):
        steps = inpainter(tiny, "sd15", scheduler=scheduler)._pipeline.scheduler
        steps.set_timesteps(50)
        clean, noise = (
            torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(n)) for n in (0, 1)
        )
        times = steps.timesteps[(50 - 10) * steps.order :]
        latents = steps.add_noise(clean, noise, times[:1])
        for time in times:
            latents = steps.step(noise, time, latents).prev_sample
        last = steps.add_noise(clean, noise, torch.tensor([0]))
        wrong[scheduler] = float((latents - last).abs().max())
    assert wrong["ddim"] < 1e-5
    assert wrong["checkpoint"] > 0.05


def test_prompts_that_are_cut_are_counted(tiny: Path) -> None:
    settings = InpaintSettings(model=str(tiny / "sd15"), dtype="float32")
    long = "portrait " * 90
    assert Inpainter(settings).num_cut(["A face", long, long]) == 2
    assert Inpainter(settings).num_cut([]) == 0
    fixed = InpaintSettings(model=str(tiny / "sd15"), prompt="A face")
    assert Inpainter(fixed).num_cut(["A face", long]) == 0
    painted = inpainter(tiny, "sd15").paint(PICTURES, MASKS, [long] * 3, [1, 2, 3], 0.2)
    assert np.isfinite(painted.pixels).all()


def test_a_copy_on_the_nodes_disk_is_the_same(tiny: Path, tmp_path: Path) -> None:
    painter = inpainter(tiny, "sd15-inpainting")
    copied = Inpainter(painter._settings)
    copied.copy_weights(tmp_path, painter.identity())
    copied.load()
    assert copied.revision() == (str(tiny / "sd15-inpainting"), "tiny")
    asked = (PICTURES, MASKS, PROMPTS, [1, 2, 3], 0.2)
    assert np.array_equal(copied.paint(*asked).pixels, painter.paint(*asked).pixels)


def test_what_does_not_inpaint_is_refused(tiny: Path, tmp_path: Path) -> None:
    other = InpaintSettings(model=str(tiny / "flux-dev"))
    with pytest.raises(ValueError, match=r"inpaint\.model = .*says 'FluxPipeline'; use a Stable"):
        Inpainter(other).identity()
    with pytest.raises(ValueError, match=r"inpaint\.model = 'nowhere': no such folder"):
        Inpainter(InpaintSettings(model="nowhere")).revision()
    broken = tmp_path / "broken"
    shutil.copytree(tiny / "sd15", broken)
    config = broken / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"in_channels": 8}))
    with pytest.raises(ValueError, match="takes 8 channels; inpainting needs 4 or 9"):
        Inpainter(InpaintSettings(model=str(broken))).revision()
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no CUDA device is seen here"):
            inpainter(tiny, "sd15", device="cuda")


def test_what_the_safety_checker_blacked_is_told(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = inpainter(tiny, "sd15")

    def flags(self: object, clip_input: object, images: torch.Tensor) -> tuple[torch.Tensor, list]:
        return images, [False, True, False]

    checker = diffusers.pipelines.stable_diffusion.StableDiffusionSafetyChecker
    monkeypatch.setattr(checker, "forward", flags)
    painted = painter.paint(PICTURES, MASKS, PROMPTS, [1, 2, 3], 0.2)
    assert painted.withheld == [False, True, False]
    assert painter.gpu() is None
