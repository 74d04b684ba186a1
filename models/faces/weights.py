"""Which files of weights an analyser needs, where they lie, and where they are published.

It downloads nothing and imports nothing of DeepFace. The addresses are those in the source of
deepface 0.0.103 and retina-face 0.0.19; a test holds them to what is installed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from models.checksums import sha256_of
from schemas.audit import DeepFaceSettings, Engine

_RELEASE = "https://github.com/serengil/deepface_models/releases/download/v1.0/"
_BACKUP = "https://huggingface.co/serengil/deepface/resolve/main/"
_ENDINGS: Mapping[Engine, str] = {"onnx": ".onnx", "pytorch": ".pth"}
# The part that every detector shares; the names are DeepFace's.
ATTRIBUTE_FILES = {
    "Age": "age_model_weights",
    "Gender": "gender_model_weights",
    "Race": "race_model_single_batch",
}
EMBEDDING_FILE = "arcface_weights"
RETINAFACE_FILE = "retinaface"

_YAPA = "https://github.com/YapaLab/yolo-face/releases/download/1.0.0/"
_AKANAMETOV = "https://github.com/akanametov/yolo-face/releases/download/1.0.0/"
_OPENCV = "https://github.com/opencv/"
# Files that are the same for both engines. mtcnn, fastmtcnn and mediapipe bring theirs along.
_DETECTOR_FILES: Mapping[str, Mapping[str, str]] = {
    "yunet": {
        "face_detection_yunet_2023mar.onnx": f"{_OPENCV}opencv_zoo/raw/main/models/"
        "face_detection_yunet/face_detection_yunet_2023mar.onnx"
    },
    "ssd": {
        "deploy.prototxt": f"{_OPENCV}opencv/raw/3.4.0/samples/dnn/face_detector/deploy.prototxt",
        "res10_300x300_ssd_iter_140000.caffemodel": f"{_OPENCV}opencv_3rdparty/raw/"
        "dnn_samples_face_detector_20170830/res10_300x300_ssd_iter_140000.caffemodel",
    },
    "centerface": {
        "centerface.onnx": "https://github.com/Star-Clouds/CenterFace/raw/master/models/onnx/"
        "centerface.onnx"
    },
    "dlib": {
        "shape_predictor_5_face_landmarks.dat": "https://dlib.net/files/"
        "shape_predictor_5_face_landmarks.dat.bz2"
    },
    "yolov8n": {
        "yolov8n-face.pt": "https://drive.google.com/uc?id=1qcr9DbgsX3ryrz2uU8w4Xm3cOrRywXqb"
    },
    **{
        f"yolov{kind}": {f"yolov{kind}-face.pt": f"{base}yolov{kind}-face.pt"}
        for base, kinds in (
            (_YAPA, ("8m", "8l", "11l", "12n", "12s", "12m", "12l")),
            (_AKANAMETOV, ("11n", "11s", "11m")),
        )
        for kind in kinds
    },
}
# In opencv's wheel. Detectors that tell no eyes have them looked for with the second.
CASCADES = ("haarcascade_frontalface_default.xml", "haarcascade_eye.xml")


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file that is needed, and where it is published: the first address that answers.

    What an address that ends in .bz2 gives is to be unpacked.
    """

    path: Path
    addresses: tuple[str, ...]


def home_of(settings: DeepFaceSettings) -> Path:
    """The folder that holds .deepface/weights."""
    named = settings.weights or os.environ.get("DEEPFACE_HOME")
    return Path(named).expanduser().absolute() if named else Path.home()


def weights_folder(home: Path) -> Path:
    """Where DeepFace looks for weights in its home."""
    return home / ".deepface" / "weights"


def needed_files(settings: DeepFaceSettings) -> list[WeightFile]:
    """Every file that this analyser loads from the folder, there or not."""
    folder, ending = weights_folder(home_of(settings)), _ENDINGS[settings.engine]
    names = [*ATTRIBUTE_FILES.values(), EMBEDDING_FILE]
    if settings.detector == "retinaface":
        names.append(RETINAFACE_FILE)
    engines = [f"{name}{ending}" for name in names]
    detectors = _DETECTOR_FILES.get(settings.detector, {})
    return [
        *(WeightFile(folder / name, (_RELEASE + name, _BACKUP + name)) for name in engines),
        *(WeightFile(folder / name, (address,)) for name, address in detectors.items()),
    ]


def found_files(settings: DeepFaceSettings, *, finding_only: bool = False) -> list[Path]:
    """The files that are loaded, or the detector's alone; a ValueError names a missing one."""
    paths = [file.path for file in needed_files(settings)]
    if finding_only:
        others = {*ATTRIBUTE_FILES.values(), EMBEDDING_FILE}
        paths = [path for path in paths if path.stem not in others]
    for path in paths:
        if not path.is_file():
            raise ValueError(
                f"{path}: is missing, and detector = {settings.detector!r} with "
                f"engine = {settings.engine!r} needs it; get it with: relume fetch --faces"
            )
    return [*paths, *_cascades()]


def weight_sums(settings: DeepFaceSettings, *, finding_only: bool = False) -> dict[str, str]:
    """The checksum of every file that is loaded, by its name."""
    files = found_files(settings, finding_only=finding_only)
    sums = sha256_of(files)
    return {path.name: sums[path] for path in files}


def _cascades() -> list[Path]:
    folder = Path(import_module("cv2.data").haarcascades)
    paths = [folder / name for name in CASCADES]
    for path in paths:
        if not path.is_file():
            raise ValueError(
                f"{path}: is missing; opencv 5 leaves it out: "
                "pip install 'opencv-contrib-python-headless<5'"
            )
    return paths
