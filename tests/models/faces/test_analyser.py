"""DeepFace's real code on tiny graphs: what it finds, beside what DeepFace says, and what fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models.faces.analyser import Analyser, Picture, build_analyser
from models.faces.process import model
from models.faces.weights import weights_folder
from models.generators.procedural.painter import paint_source
from models.generators.procedural.people import draw_people
from schemas.audit import Box, DeepFaceSettings, Face, Finding
from schemas.truth import ETHNICITIES, GENDERS

ROOT = Path(__file__).parents[3]
Make = Callable[..., Analyser]


def portraits(count: int, size_px: int) -> list[Picture]:
    people = draw_people([f"A portrait of Name Number{n}" for n in range(count)], range(count))
    return list(paint_source(people, size_px))


def side_by_side(pictures: list[Picture], columns: int) -> Picture:
    """Pictures of one size on black, as far apart as they are wide."""
    side = pictures[0].shape[0]
    rows = -(-len(pictures) // columns)
    sheet = np.zeros((2 * side * rows, 2 * side * columns, 3), np.uint8)
    for n, picture in enumerate(pictures):
        top, left = (2 * side * place + side // 2 for place in divmod(n, columns))
        sheet[top : top + side, left : left + side] = picture
    return sheet


def face_of(finding: Finding) -> Face:
    assert finding.face is not None, finding
    return finding.face


def close(one: Face, other: Face) -> None:
    assert (one.box, one.sharpness) == (other.box, other.sharpness)
    for field in ("confidence", "age"):
        assert getattr(one, field) == pytest.approx(getattr(other, field), abs=1e-4)
    for field in (
        "age_probabilities",
        "gender_probabilities",
        "ethnicity_probabilities",
        "embedding",
    ):
        assert np.allclose(getattr(one, field), getattr(other, field), atol=1e-5), field


@pytest.mark.parametrize(
    ("engine", "detector", "count"),
    [("onnx", "retinaface", 6), ("onnx", "opencv", 6), ("pytorch", "opencv", 2)],
)
def test_the_same_as_deepface_itself(tiny: Path, engine: str, detector: str, count: int) -> None:
    """With DeepFace's own border: the same boxes, ages, probabilities and embeddings."""
    script = Path(__file__).with_name("beside_deepface.py")
    done = subprocess.run(
        [sys.executable, script, engine, tiny / f"deepface-{engine}", detector, "0.5", str(count)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *found, black, wide = json.loads(done.stdout.splitlines()[-1])
    with_face = [told for told in [*found, wide] if told["status"] != "no_face"]
    assert len(with_face) >= (len(found) + 1 if detector == "retinaface" else len(found) // 2 + 1)
    for told in with_face:
        assert told["box"] == 0
        assert told["confidence"] <= 0.0051  # they round it to two digits
        assert told["age"] < 1e-4
        assert told["truncated"]
        for field in ("gender", "ethnicity", "embedding"):
            assert told[field] < 1e-5, field
        assert told["spread"][0] < 1  # not all one class, so that orders are seen
        assert 1 < told["spread"][1] < 99
    # Where there is no face they tell of one, with confidence 0, that is the whole picture.
    assert (black["status"], black["theirs"]) == ("no_face", [0])


def test_one_portrait_has_one_face_whatever_its_size(analyser: Make) -> None:
    looks = analyser()
    for size_px in (64, 128, 512):
        count = 24 if size_px == 64 else 3
        for finding in looks.analyse(portraits(count, size_px)):
            assert (finding.status, finding.num_faces) == ("ok", 1)
            box = face_of(finding).box
            assert abs(box.x + box.width / 2 - 0.49 * size_px) <= 1.5
            assert abs(box.width - 0.40 * size_px) <= 2


def test_faces_are_told_whole(analyser: Make) -> None:
    faces = [face_of(finding) for finding in analyser().analyse(portraits(8, 64))]
    for face in faces:
        lengths = [101, len(GENDERS), len(ETHNICITIES)]
        told = [face.age_probabilities, face.gender_probabilities, face.ethnicity_probabilities]
        assert [len(one) for one in told] == lengths
        for one in told:
            assert sum(one) == pytest.approx(1, abs=1e-12)
        assert face.age == pytest.approx(np.dot(face.age_probabilities, range(101)))
        assert face.age != int(face.age)
        assert np.linalg.norm(face.embedding) == pytest.approx(1)
        assert len(face.embedding) == 512
        assert 0.9 <= face.confidence <= 1
    assert len({face.age for face in faces}) == len(faces)


def test_without_the_border_the_same_faces_are_found(analyser: Make) -> None:
    pictures = portraits(4, 128)
    wanted = analyser(border=0.5).analyse(pictures)
    for border in (0.0, 0.0625, 0.125):
        for one, other in zip(analyser(border=border).analyse(pictures), wanted, strict=True):
            close(face_of(one), face_of(other))
    opencv = analyser(detector="opencv", border=0.5).analyse(pictures)
    near = analyser(detector="opencv", border=0.125).analyse(pictures)
    assert [one.status for one in opencv] == [one.status for one in near]
    for one, other in zip(opencv, near, strict=True):
        if one.face and other.face:
            apart = [abs(a - b) for a, b in zip(_sides(one.face), _sides(other.face), strict=True)]
            assert max(apart) <= 8


def _sides(face: Face) -> tuple[int, int, int, int]:
    return face.box.x, face.box.y, face.box.width, face.box.height


def test_a_very_long_picture_is_seen_as_deepface_sees_it(analyser: Make) -> None:
    """Its longer side is what retinaface scales by: here to twice its pixels."""
    portrait = portraits(1, 128)[0]
    boxes = []
    # The tiny detector wants a portrait aligned to 16 px of what it looks at.
    for border, left in ((0.5, 177), (0.0, 176)):
        long = np.zeros((128, 495, 3), np.uint8)
        long[:, left : left + 128] = portrait
        finding = analyser(border=border).analyse([long])[0]
        assert (finding.status, finding.num_faces) == ("ok", 1)
        box = face_of(finding).box
        boxes.append((box.x - left, box.y, box.width, box.height))
    assert np.abs(np.subtract(*boxes)).max() <= 1


def test_five_faces(analyser: Make) -> None:
    five = side_by_side(portraits(5, 64), 3)
    for border in (0.125, 0.5):
        finding = analyser(border=border).analyse([five])[0]
        assert (finding.status, finding.num_faces) == ("multi_face", 5)
        assert face_of(finding).box.width == 25


def test_of_several_faces_the_largest_is_told(analyser: Make) -> None:
    """Two portraits, one twice as wide, at the two scales that the tiny detector sees there."""
    small, large = portraits(2, 64), portraits(2, 128)
    sheet = np.zeros((256, 384, 3), np.uint8)
    sheet[32:96, 288:352] = small[1]
    sheet[64:192, 64:192] = large[0]
    finding = analyser().analyse([sheet])[0]
    assert (finding.status, finding.num_faces) == ("multi_face", 2)
    assert face_of(finding).box.width == 51
    assert face_of(finding).box.x > 64


def test_a_batch_equals_its_pictures_one_by_one(analyser: Make) -> None:
    pictures = [*portraits(5, 64), np.zeros((64, 64, 3), np.uint8), *portraits(7, 96)]
    many = analyser(batch_size=4)
    together = many.analyse(pictures)
    assert [finding.status for finding in together].count("ok") == 12
    for one, picture in zip(together, pictures, strict=True):
        alone = many.analyse([picture])[0]
        assert (one.status, one.num_faces) == (alone.status, alone.num_faces)
        if one.face and alone.face:
            close(one.face, alone.face)
    assert together == many.analyse(pictures)
    assert many.analyse([]) == []


def test_pictures_without_a_face(analyser: Make) -> None:
    grey = np.repeat(portraits(1, 64)[0].mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    pictures = [
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.full((1, 1, 3), (200, 100, 50), np.uint8),
        grey,
        np.full((64, 64, 3), (0, 0, 255), np.uint8),
    ]
    for detector in ("retinaface", "opencv"):
        found = analyser(detector=detector).analyse(pictures)
        # Haar cascades look at grey levels, and the tiny detector at colours.
        kinds = ["no_face"] * 5 if detector == "retinaface" else None
        if kinds:
            assert [finding.status for finding in found] == kinds
        else:
            assert [found[n].status for n in (0, 1, 2, 4)] == ["no_face"] * 4
            assert found[3].status == "ok"
        for finding in found:
            if finding.status == "no_face":
                assert (finding.num_faces, finding.face, finding.reason) == (0, None, None)


def test_one_bad_picture_harms_no_other(analyser: Make) -> None:
    good = portraits(2, 64)
    bad = [
        # Its height is nothing once it is scaled, and OpenCV raises inside the detector.
        np.full((1, 40_000, 3), 90, np.uint8),
        np.zeros((0, 64, 3), np.uint8),
        good[0].mean(axis=2).astype(np.uint8),
        good[0].astype(np.float32),
    ]
    reasons = (
        "retinaface: error: OpenCV",
        "is empty: (0, 64, 3)",
        "is uint8 of (64, 64), should be uint8 of (height, width, 3)",
        "is float32 of (64, 64, 3), should be uint8",
    )
    for border in (0.125, 0.5):
        looks = analyser(border=border)
        first, *failed, last = looks.analyse([good[0], *bad, good[1]])
        for finding, reason in zip(failed, reasons, strict=True):
            assert (finding.status, finding.num_faces, finding.face) == ("error", None, None)
            assert finding.reason is not None
            assert finding.reason.startswith(reason)
            assert "\n" not in finding.reason
        for finding, wanted in zip((first, last), looks.analyse(good), strict=True):
            close(face_of(finding), face_of(wanted))


def test_models_that_give_no_number(home: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(home, tmp_path / "broken")
    path = weights_folder(broken) / "arcface_weights.onnx"
    graph = onnx.load(path)
    weights = graph.graph.initializer[0]
    weights.CopyFrom(
        numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(weights)), weights.name)
    )
    onnx.save(graph, path)
    looks = build_analyser(DeepFaceSettings(weights=str(broken)))
    looks.load()
    finding = looks.analyse(portraits(1, 64))[0]
    assert (finding.status, finding.reason) == ("error", "the models gave what is no number")


def test_a_face_below_the_wanted_confidence(analyser: Make) -> None:
    pale = portraits(1, 64)[0].astype(float)
    # Nearly grey: the tiny detector is sure of warm faces only.
    pale = pale.mean(axis=2, keepdims=True) + (pale - pale.mean(axis=2, keepdims=True)) * 0.3
    pictures = [pale.astype(np.uint8), portraits(1, 64)[0]]
    certain = [face_of(finding).confidence for finding in analyser().analyse(pictures)]
    assert certain[0] < certain[1]
    wanted = sum(certain) / 2
    looks = analyser(min_confidence=wanted)
    assert [finding.status for finding in looks.analyse(pictures)] == ["low_confidence", "ok"]
    assert looks.analyse(pictures)[0].face is not None


@pytest.mark.parametrize("name", ["gender_model_weights", "race_model_single_batch"])
def test_probabilities_are_ordered_by_their_labels(home: Path, tmp_path: Path, name: str) -> None:
    """A model that is sure of one of its classes: the label is right, whatever its place."""
    from deepface.models.demography.DemographyUtils import GENDER_LABELS, RACE_LABELS

    labels = GENDER_LABELS if name.startswith("gender") else RACE_LABELS
    ours = GENDERS if name.startswith("gender") else ETHNICITIES
    field = "gender_probabilities" if name.startswith("gender") else "ethnicity_probabilities"
    for place, label in enumerate(labels):
        sure = shutil.copytree(home, tmp_path / f"{name}-{place}")
        path = weights_folder(sure) / f"{name}.onnx"
        graph = onnx.load(path)
        weights = graph.graph.initializer[0]
        certain = np.zeros_like(numpy_helper.to_array(weights))
        certain[:, place] = 1
        weights.CopyFrom(numpy_helper.from_array(certain, weights.name))
        onnx.save(graph, path)
        looks = build_analyser(DeepFaceSettings(weights=str(sure)))
        looks.load()
        told = getattr(face_of(looks.analyse(portraits(1, 64))[0]), field)
        assert ours[int(np.argmax(told))] == label.lower()
        assert max(told) > 0.99


def test_crops_are_upright(analyser: Make) -> None:
    """The tiny detector's eyes are aslant; a crop is turned by it, in DeepFace's own code."""
    looks = analyser()
    finder, _ = looks._loaded  # type: ignore[attr-defined]
    bgr = np.ascontiguousarray(portraits(1, 128)[0][:, :, ::-1])
    face = finder.find(bgr)[0]
    box: Box = face.box
    straight = bgr[box.y : box.y + box.height, box.x : box.x + box.width]
    same_size = tuple(min(a, b) for a, b in zip(face.crop.shape, straight.shape, strict=True))
    cut = [one[: same_size[0], : same_size[1]].astype(float) for one in (face.crop, straight)]
    assert np.abs(cut[0] - cut[1]).mean() > 1


def test_sharpness_sees_detail(analyser: Make) -> None:
    import cv2

    sharp = portraits(1, 256)[0]
    soft = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 3), np.uint8)
    told = [face_of(finding).sharpness for finding in analyser().analyse([sharp, soft])]
    assert told[0] > 2 * told[1] > 0


def test_threads_and_warnings_are_kept(analyser: Make) -> None:
    before = list(warnings.filters)
    for threads in (2, 1):
        analyser(threads=threads)
        for task, name in (
            ("facial_attribute", "Age"),
            ("facial_recognition", "ArcFace"),
            ("face_detector", "retinaface"),
        ):
            loaded = model(task, name).model
            session = loaded.session if name == "retinaface" else loaded
            options = session.get_session_options()
            assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)
    assert warnings.filters == before


def test_an_engine_is_settled_for_the_process(analyser: Make, tiny: Path) -> None:
    analyser()
    other = build_analyser(
        DeepFaceSettings(engine="pytorch", weights=str(tiny / "deepface-pytorch"))
    )
    with pytest.raises(ValueError, match="engine = 'pytorch': this process runs DeepFace with"):
        other.load()


@pytest.mark.parametrize("detector", ["mtcnn", "fastmtcnn", "mediapipe"])
def test_a_detector_whose_package_is_missing(home: Path, detector: str) -> None:
    looks = build_analyser(
        DeepFaceSettings(weights=str(home), detector=detector, border=0.5)  # type: ignore[arg-type]
    )
    with pytest.raises(ValueError, match=rf"detector = '{detector}': needs .*pip install"):
        looks.load()


def test_what_is_said_of_an_analyser(analyser: Make) -> None:
    looks = analyser(batch_size=3)
    assert looks.detector == "retinaface"
    assert looks.numerics() == {
        "engine": "onnx",
        "border": 0.125,
        "min_confidence": 0.0,
        "normalization": "base",
        "batch_size": 3,
        "threads": 1,
    }
