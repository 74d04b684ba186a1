"""Finds the faces of a picture and cuts them out as DeepFace does, and only once.

DeepFace's `extract_faces` is not called: where there is no face it returns the whole picture as one
of confidence 0, and it rounds confidences. What it calls is called here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.faces.process import model, part
from schemas.audit import DEEPFACE_BORDER, Box, DeepFaceSettings

# What DeepFace's client asks of retinaface, and what retinaface scales a picture's sides to.
_RETINAFACE_THRESHOLD = 0.9
_RETINAFACE_SIDES_PX = (1024, 1980)
_CLEAR_SIDE_PX = 112

Bgr = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face with its box in the picture, and upright in a BGR crop of its own."""

    box: Box
    confidence: float
    crop: Bgr

    @property
    def area(self) -> int:
        """Pixels of the box."""
        return self.box.width * self.box.height


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A face's box as the detector told it, which may lie partly outside the picture."""

    box: Box
    confidence: float

    @property
    def area(self) -> int:
        """Pixels of the box."""
        return self.box.width * self.box.height


class FaceFinder:
    """Looks for faces with one of DeepFace's detectors."""

    def __init__(self, settings: DeepFaceSettings) -> None:
        """Load the detector."""
        self._name, self._border = settings.detector, settings.border
        self._detector = model("face_detector", settings.detector)
        # Detectors that tell no eyes have them looked for by this one.
        model("face_detector", "opencv")
        self._extract_face = part("deepface.modules.detection").extract_face
        self._region = part("deepface.models.Detector").FacialAreaRegion

    def find(self, bgr: Bgr) -> list[FoundFace]:
        """The faces of a picture, the largest first."""
        height, width = bgr.shape[:2]
        down, right = int(DEEPFACE_BORDER * height), int(DEEPFACE_BORDER * width)
        bordered = with_border(bgr, down, right)
        faces = []
        for region in self._regions(bgr, bordered):
            cut = self._extract_face(
                facial_area=region,
                img=bordered,
                align=True,
                expand_percentage=0,
                width_border=right,
                height_border=down,
                detector_backend=self._name,
            )
            box = _in_picture(cut.facial_area, width, height)
            # A detector may see something in the border.
            if cut.img.size and box.width > 0 and box.height > 0:
                faces.append(FoundFace(box, float(cut.confidence), cut.img))
        return sorted(faces, key=lambda face: -face.area)

    def seen(self, bgr: Bgr) -> list[SeenFace]:
        """The boxes of all faces of a picture, whole as they were told, the largest first."""
        height, width = bgr.shape[:2]
        down, right = int(DEEPFACE_BORDER * height), int(DEEPFACE_BORDER * width)
        faces = [
            SeenFace(
                Box(
                    x=int(region.x) - right,
                    y=int(region.y) - down,
                    width=int(region.w),
                    height=int(region.h),
                ),
                float(region.confidence or 0.0),
            )
            for region in self._regions(bgr, with_border(bgr, down, right))
        ]
        # Equal faces in the order of reading, so that which is the second is never chance.
        return sorted(faces, key=lambda face: (-face.area, face.box.y, face.box.x))

    def _regions(self, bgr: Bgr, bordered: Bgr) -> list[Any]:
        """Where faces are in the picture with DeepFace's own border."""
        if self._border == DEEPFACE_BORDER:
            return list(self._detector.detect_faces(bordered))
        if self._name == "retinaface":
            return self._retinaface(bgr, bordered.shape[:2])
        height, width = bgr.shape[:2]
        down, right = int(self._border * height), int(self._border * width)
        more = (int(DEEPFACE_BORDER * width) - right, int(DEEPFACE_BORDER * height) - down)
        return [
            replace(
                region,
                x=region.x + more[0],
                y=region.y + more[1],
                left_eye=_moved(region.left_eye, more),
                right_eye=_moved(region.right_eye, more),
            )
            for region in self._detector.detect_faces(with_border(bgr, down, right))
        ]

    def _retinaface(self, bgr: Bgr, bordered: tuple[int, int]) -> list[Any]:
        """Look at the picture at the size at which DeepFace's border would leave it.

        Three quarters of what DeepFace's retinaface looks at is its own black border.
        """
        scale = _RETINAFACE_SIDES_PX[0] / min(bordered)
        if round(scale * max(bordered)) > _RETINAFACE_SIDES_PX[1]:
            scale = _RETINAFACE_SIDES_PX[1] / max(bordered)
        seen = bgr
        if scale != 1.0:
            seen = np.asarray(cv2.resize(bgr, None, fx=scale, fy=scale), np.uint8)
        down, right = (int(self._border * side) for side in seen.shape[:2])
        found = part("retinaface.RetinaFace").detect_faces(
            with_border(seen, down, right),
            threshold=_RETINAFACE_THRESHOLD,
            model=self._detector.model,
            allow_upscaling=False,
        )
        height, width = bgr.shape[:2]
        more = (
            int(DEEPFACE_BORDER * width) - right / scale,
            int(DEEPFACE_BORDER * height) - down / scale,
        )
        regions = []
        for face in found.values():
            left, top, end, bottom = face["facial_area"]
            (x1, y1), (x2, y2) = _at((left, top), scale, more), _at((end, bottom), scale, more)
            regions.append(
                self._region(
                    x=x1,
                    y=y1,
                    w=x2 - x1,
                    h=y2 - y1,
                    left_eye=_at(face["landmarks"]["left_eye"], scale, more),
                    right_eye=_at(face["landmarks"]["right_eye"], scale, more),
                    confidence=face["score"],
                )
            )
        return regions


def _at(point: Sequence[float], scale: float, more: tuple[float, float]) -> tuple[int, int]:
    """A point of what was looked at, in the picture with DeepFace's own border."""
    return int(point[0] / scale + more[0]), int(point[1] / scale + more[1])


def _moved(point: tuple[int, int] | None, more: tuple[int, int]) -> tuple[int, int] | None:
    return None if point is None else _at(point, 1.0, more)


def _in_picture(region: Any, width: int, height: int) -> Box:
    """The box as DeepFace reports it: a pixel short of the right and lower edges."""
    x, y = max(0, int(region.x)), max(0, int(region.y))
    return Box(
        x=x,
        y=y,
        width=min(width - x - 1, int(region.w)),
        height=min(height - y - 1, int(region.h)),
    )


def with_border(bgr: Bgr, down: int, right: int) -> Bgr:
    """The picture with black around it."""
    made = cv2.copyMakeBorder(
        bgr, down, down, right, right, cv2.BORDER_CONSTANT, value=(0.0, 0.0, 0.0)
    )
    return np.asarray(made, np.uint8)


def clearness(crop: Bgr) -> float:
    """The variance of the Laplacian of grey levels; a crop above 112 px is shrunk to that first.

    A smaller one is not enlarged: that would make every small face look blurred.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    scale = _CLEAR_SIDE_PX / max(grey.shape)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def sharpness(crop: Bgr) -> float:
    """The variance of the Laplacian of a face's grey levels at 112 x 112."""
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    same_size = cv2.resize(grey, (112, 112), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(same_size, cv2.CV_64F).var())
