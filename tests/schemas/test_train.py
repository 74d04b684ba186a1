"""The presets of the heads, and what a training section refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.head import ResnetSettings, UnetSettings
from schemas.overrides import parse_overrides
from schemas.train import CycleObjective, PairedObjective, TrainConfig, train_config

CONFIGS = Path(__file__).parents[2] / "configs"
PRESETS = sorted(path for path in CONFIGS.glob("*.toml") if "[train]" in path.read_text())


def test_there_is_a_preset_of_each_head() -> None:
    wanted = {"cyclegan", "demo", "esa_cyclegan", "overfit", "pix2pix", "unet"}
    assert {path.stem for path in PRESETS} == wanted


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_resolves(path: Path) -> None:
    config = train_config(path, {})
    assert config.epochs >= config.optimiser.decay_epochs
    assert all(phase.crop_px is not None for phase in config.phase)


def test_the_papers_numbers() -> None:
    unet, esa, plain = (
        train_config(CONFIGS / f"{name}.toml", {}) for name in ("unet", "esa_cyclegan", "cyclegan")
    )
    assert isinstance(unet.network, UnetSettings)
    assert unet.objective == PairedObjective()
    assert unet.network.levels == 6
    assert unet.optimiser.learning_rate == 5e-5
    (phase,) = unet.phase
    assert (phase.epochs, phase.fraction, phase.crop_px) == (10, 0.01, 512)
    assert isinstance(esa.network, ResnetSettings)
    assert (esa.network.attention, esa.network.residual_output) == ("esa", False)
    assert isinstance(esa.objective, CycleObjective)
    assert (esa.objective.lambda_cycle, esa.objective.lambda_identity) == (2, 0)
    assert esa.optimiser.learning_rate == 1e-4
    (phase,) = esa.phase
    assert (phase.epochs, phase.fraction, phase.crop_px) == (190, 0.2, 512)
    assert esa.optimiser.decay_epochs == 190
    # The two differ by ESA alone, so that a difference between them is ESA's.
    assert isinstance(plain.network, ResnetSettings)
    assert plain.network.attention == "none"
    assert (plain.objective, plain.phase, plain.optimiser) == (
        esa.objective,
        esa.phase,
        esa.optimiser,
    )


@pytest.mark.parametrize(
    ("name", "words", "told"),
    [
        ("unet", ["--data.pairing", "shuffled"], 'compares an output with its own target; say "pa'),
        ("cyclegan", ["--optimiser.decay-epochs", "191"], "the run has 190 epochs"),
        ("pix2pix", ["--objective.discriminator.conditional", "false"], "say true"),
        ("cyclegan", ["--objective.discriminator.conditional", "true"], "say false"),
        (
            "unet",
            ["--phase", "{epochs = 1, batch_size = 5, accumulation = 2}"],
            "phase item 1.accumulation = 2: does not divide",
        ),
        ("unet", ["--objective.perceptual", "vg"], "vg"),
    ],
)
def test_what_does_not_fit_together(name: str, words: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        train_config(CONFIGS / f"{name}.toml", parse_overrides(TrainConfig, words))


def test_a_file_without_a_training_section() -> None:
    with pytest.raises(ValueError, match=r"paper.toml: has no \[train\] section; use one of"):
        train_config(CONFIGS / "paper.toml", {})
