"""Which files an analyser needs, held to DeepFace's own source, and what is said when one lacks."""

from __future__ import annotations

import hashlib
import shutil
from importlib import import_module
from pathlib import Path

import cv2
import pytest

from models.faces.analyser import build_analyser
from models.faces.weights import CASCADES, home_of, needed_files, weights_folder
from schemas.audit import DETECTORS, DeepFaceSettings

SOURCES = {
    "age_model_weights": "deepface.models.demography.{}.Age",
    "gender_model_weights": "deepface.models.demography.{}.Gender",
    "race_model_single_batch": "deepface.models.demography.{}.Race",
    "arcface_weights": "deepface.models.facial_recognition.{}.ArcFace",
}


def settings_of(detector: str, engine: str = "onnx", **more: object) -> DeepFaceSettings:
    return DeepFaceSettings(detector=detector, engine=engine, border=0.5, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["onnx", "pytorch"])
def test_addresses_are_those_of_deepfaces_source(engine: str) -> None:
    found = {
        file.path.stem: file.addresses for file in needed_files(settings_of("retinaface", engine))
    }
    kind = {"onnx": "retinaface_onnx_model", "pytorch": "retinaface_pth_model"}[engine]
    modules = {name: module.format(engine) for name, module in SOURCES.items()}
    wanted = {name: tuple(import_module(one).WEIGHTS_URL) for name, one in modules.items()}
    wanted["retinaface"] = tuple(import_module(f"retinaface.model.{kind}").WEIGHTS_URLS)
    assert found == wanted


@pytest.mark.parametrize("detector", DETECTORS)
def test_files_of_every_detector(detector: str) -> None:
    own = {file.path.name: file.addresses for file in needed_files(settings_of(detector))[4:]}
    if detector.startswith("yolo"):
        yolo = import_module("deepface.models.face_detection.Yolo").YoloModel
        name, address = yolo[detector.removeprefix("yolo").upper()].value
        assert own == {name: (address,)}
    elif detector in ("yunet", "centerface", "dlib"):
        name = {"yunet": "YuNet", "centerface": "CenterFace", "dlib": "Dlib"}[detector]
        address = import_module(f"deepface.models.face_detection.{name}").WEIGHTS_URL
        assert list(own.values()) == [(address,)]
        assert Path(address).name.removesuffix(".bz2") in own
    elif detector == "ssd":
        ssd = import_module("deepface.models.face_detection.Ssd")
        assert list(own.values()) == [(ssd.MODEL_URL,), (ssd.WEIGHTS_URL,)]
    else:
        assert set(own) == ({"retinaface.onnx"} if detector == "retinaface" else set())


def test_where_weights_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path / "env"))
    assert home_of(DeepFaceSettings()) == tmp_path / "env"
    assert home_of(DeepFaceSettings(weights=str(tmp_path))) == tmp_path
    monkeypatch.delenv("DEEPFACE_HOME")
    assert home_of(DeepFaceSettings()) == Path.home()
    assert weights_folder(tmp_path) == tmp_path / ".deepface" / "weights"


def test_every_file_has_its_checksum(home: Path) -> None:
    for detector in ("retinaface", "opencv"):
        sums = build_analyser(settings_of(detector, weights=str(home))).weights()
        names = {file.path.name for file in needed_files(settings_of(detector))} | set(CASCADES)
        assert set(sums) == names
        one = weights_folder(home) / "arcface_weights.onnx"
        assert sums[one.name] == hashlib.sha256(one.read_bytes()).hexdigest()


@pytest.mark.parametrize("detector", ["retinaface", "yunet"])
def test_a_missing_file_is_named(home: Path, tmp_path: Path, detector: str) -> None:
    there = shutil.copytree(home, tmp_path / "there")
    settings = settings_of(detector, weights=str(there))
    gone = needed_files(settings)[-1].path
    gone.unlink(missing_ok=True)
    looks = build_analyser(settings)
    for ask in (looks.load, looks.weights):
        with pytest.raises(ValueError, match="relume fetch") as told:
            ask()
        assert str(told.value).startswith(f"{gone}: is missing")
        assert "\n" not in str(told.value)


def test_opencv_without_its_cascades(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(ValueError, match=r"haarcascade_.*: is missing; opencv 5 leaves it out"):
        build_analyser(DeepFaceSettings(weights=str(home))).weights()
