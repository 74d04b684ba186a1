"""Settings of face pairs: the preset is Table 8, and mistakes are told with their field."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.facepairs import (
    TABLE_8,
    FacePairSettings,
    FinderSettings,
    InpaintSettings,
    NoiseStep,
    facepair_settings,
    told_numerics,
)
from shards.provenance import ROOT

PRESET = ROOT / "configs" / "facepairs.toml"
INPAINT = InpaintSettings(model="m")


def test_the_preset_is_the_papers() -> None:
    chosen = facepair_settings(PRESET, {})
    assert chosen.noise == TABLE_8
    assert [(one.up_to, one.factor) for one in TABLE_8] == [
        (0.005, 0.06),
        (0.01, 0.1),
        (0.1, 0.2),
        (1.0, 0.4),
    ]
    assert (chosen.faces, chosen.inpaint.scheduler) == (2, "ddim")
    changed = facepair_settings(PRESET, {"faces": 3, "inpaint": {"steps": 25}})
    assert (changed.faces, changed.inpaint.steps, changed.inpaint.guidance) == (3, 25, 7.5)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"noise": (NoiseStep(up_to=0.5, factor=0.1),)}, r"should rise and end at 1\.0"),
        (
            {"noise": (NoiseStep(up_to=1.0, factor=0.1), NoiseStep(up_to=0.2, factor=0.1))},
            "should rise",
        ),
        ({"inpaint": InpaintSettings(model="m", steps=10)}, "no step of inpaint.steps = 10 would"),
        ({"stage": "bad"}, "is itself of a pair"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        FacePairSettings(**{"inpaint": INPAINT, **fields})  # type: ignore[arg-type]


def test_a_preset_without_the_section_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text("[train]\n")
    with pytest.raises(ValueError, match=r"has no \[facepairs\] section"):
        facepair_settings(path, {})
    path.write_text("[facepairs]\nfaces = 0\n[facepairs.rules]\nmin_side_px = 8\n")
    with pytest.raises(ValueError, match=r"3 mistakes") as told:
        facepair_settings(path, {})
    assert all(name in str(told.value) for name in ("faces", "min_side_px", "inpaint"))


def test_numerics_name_every_setting_but_places() -> None:
    chosen = FacePairSettings(inpaint=INPAINT, finder=FinderSettings(weights="/somewhere"))
    told = told_numerics(chosen)
    assert told["noise"] == "0.005: 0.06, 0.01: 0.1, 0.1: 0.2, 1.0: 0.4"
    assert (told["paste"], told["inpaint.prompt"], told["rules.min_side_px"]) == (
        "true",
        "none",
        20,
    )
    assert not {"finder.weights", "inpaint.model", "inpaint.device"} & told.keys()


def test_detectors_see_faces_at_deepfaces_size() -> None:
    assert FinderSettings().deepface().border == 0.125
    assert FinderSettings(detector="yunet").deepface().border == 0.5
