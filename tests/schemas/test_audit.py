"""How an audit's settings are read, and which are refused."""

from __future__ import annotations

import pytest

from schemas.audit import DETECTORS, AuditSettings, DeepFaceSettings, TruthSettings
from schemas.settings import as_plain, descriptions, resolve


def test_the_analyser_is_told_by_its_kind() -> None:
    assert resolve(AuditSettings, {}, "a").analyser == DeepFaceSettings()
    truth = resolve(AuditSettings, {"analyser": {"kind": "truth"}}, "a")
    assert truth.analyser == TruthSettings()
    named = {"analyser": {"kind": "deepface", "detector": "opencv", "engine": "pytorch"}}
    settings = resolve(AuditSettings, named, "a")
    assert settings.analyser == DeepFaceSettings(detector="opencv", engine="pytorch")
    assert resolve(AuditSettings, as_plain(settings), "a") == settings


def test_every_setting_is_described() -> None:
    for settings in (AuditSettings(), AuditSettings(analyser=TruthSettings())):
        assert all(sentence for _, sentence in descriptions(settings).values())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"detector": "retinaface2"}, "did you mean 'retinaface'"),
        ({"engine": "tensorflow"}, "engine = 'tensorflow'"),
        ({"border": 0.6}, "border = 0.6: should be less than or equal to 0.5"),
        ({"detector": "ssd", "border": 0.1}, "ssd would see faces at another size"),
        ({"detector": "ssd"}, "set border = 0.5"),
        ({"detector": "opencv", "min_confidence": 0.9}, "falls where opencv is surer"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"normalization": "none"}, "normalization = 'none'"),
    ],
)
def test_settings_that_are_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match="1 mistake") as error:
        resolve(AuditSettings, {"analyser": {"kind": "deepface", **given}}, "a.toml")
    assert told in str(error.value)


def test_every_detector_can_be_had() -> None:
    for detector in DETECTORS:
        assert DeepFaceSettings(detector=detector, border=0.5).detector == detector
