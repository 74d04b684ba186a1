from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from models.faces.detection import SeenFace
from schemas.audit import Box, DeepFaceSettings
from schemas.facescore import FaceScoreSettings
from tasks.facescore.faces import Scored, cut_faces, picture_score, tally
from tasks.facescore.files import named_files, names_of

PICTURE = np.zeros((60, 80, 3), np.uint8)


def face(x: int, y: int, width: int, height: int, confidence: float = 0.99) -> SeenFace:
    return SeenFace(Box(x=x, y=y, width=width, height=height), confidence)


def test_every_face_is_scored_clipped_or_counted() -> None:
    seen = [
        face(-10, -10, 90, 90),  # beyond three edges
        face(50, 30, 30, 30),  # up to the edge and not over it
        face(10, 10, 20, 20),
        face(20, 20, 15, 15, 0.89),
        face(90, 10, 10, 10),  # in the detector's border alone
        face(30, 30, 0, 5),
    ]
    cut = cut_faces(PICTURE, seen, FaceScoreSettings())
    assert [one.box.x for one in cut.faces] == [-10, 50, 10]
    assert [crop.shape[:2] for crop in cut.crops] == [(60, 80), (31, 31), (22, 22)]
    assert (cut.num_found, cut.num_unsure, cut.num_outside, cut.num_clipped) == (6, 1, 2, 1)


def test_a_crop_does_not_keep_its_picture() -> None:
    """Pictures of a whole folder would stay in memory until the last batch."""
    (crop,) = cut_faces(PICTURE, [face(10, 10, 20, 20)], FaceScoreSettings()).crops
    assert not np.shares_memory(crop, PICTURE)
    assert crop.base is None


def test_names_of_many_files_are_told_at_once() -> None:
    """Looking through all names for each of them took minutes for a folder of this size."""
    paths = [f"{number % 7:05d}/{number:06d}.png" for number in range(60_000)]
    begun = time.process_time()
    names = names_of([*paths, "other/000003.png"])
    assert time.process_time() - begun < 5
    assert names[:5] == ["000000.png", "000001.png", "000002.png", paths[3], "000004.png"]
    assert names[-1] == "other/000003.png"


def test_files_are_named_below_their_common_folder(tmp_path: Path) -> None:
    paths = [tmp_path / one for one in ("in/a/x.png", "in/b/x.png", "in/b/y.png")]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
    found = named_files(paths)
    assert found.folder == tmp_path / "in"
    assert [(one.id, one.path, one.bytes) for one in found.photos] == [
        ("a/x.png", "a/x.png", 0), ("b/x.png", "b/x.png", 1), ("y.png", "b/y.png", 2)
    ]  # fmt: skip
    assert named_files(paths[2:]).folder == tmp_path / "in/b"
    with pytest.raises(ValueError, match="is not UTF-8; rename that file"):
        named_files([tmp_path / "in/\udcff.png"])


def test_a_picture_without_a_face_has_no_score() -> None:
    cut = cut_faces(PICTURE, [], FaceScoreSettings())
    assert picture_score((), "largest") is None
    told = Scored(status="no_face", cut=cut).columns()
    assert told["score"] is None
    assert told["scores"] == []
    assert told["num_found"] == 0


@pytest.mark.parametrize(
    ("rule", "expected"), [("largest", 2.0), ("mean", 3.0), ("best", 6.0), ("worst", 1.0)]
)
def test_a_picture_takes_its_score_by_the_rule(rule: str, expected: float) -> None:
    assert picture_score((2.0, 6.0, 1.0), rule) == expected  # type: ignore[arg-type]


def test_a_tally_leaves_nothing_out() -> None:
    cut = cut_faces(PICTURE, [face(0, 0, 9, 9), face(70, 0, 20, 9)], FaceScoreSettings())
    rows = [
        Scored(status="ok", cut=cut, scores=(1.0, 2.0), score=1.0).columns(),
        Scored(status="error", reason="is damaged").columns(),
        Scored(status="no_face", cut=cut_faces(PICTURE, [], FaceScoreSettings())).columns(),
    ]
    assert tally(rows) == {
        "pictures": 3,
        "with a face": 1,
        "without a face": 1,
        "with several": 1,
        "errors": 1,
        "faces scored": 2,
        "faces clipped at the border": 1,
        "faces outside the picture": 0,
        "faces too unsure": 0,
    }


def test_the_detector_has_to_be_as_sure_as_in_the_released_code() -> None:
    assert FaceScoreSettings().faces == DeepFaceSettings(min_confidence=0.9)
    assert FaceScoreSettings().margin_px == 1
