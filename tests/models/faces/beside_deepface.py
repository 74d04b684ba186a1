"""Analyses pictures, lets DeepFace.analyze and DeepFace.represent do it, and prints how far apart.

A process of its own, since an engine is settled for a whole process. Run with engine, home,
detector, border and the number of portraits.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any, NoReturn

import numpy as np

from models.faces.analyser import build_analyser
from models.faces.process import model, part
from models.generators.procedural.painter import paint_source
from models.generators.procedural.people import draw_people
from schemas.audit import DeepFaceSettings, Face
from schemas.truth import ETHNICITIES, GENDERS


def refuse(*arguments: object) -> NoReturn:
    raise AssertionError(f"the network was asked for: {arguments}")


def gap(ours: Any, theirs: Any) -> float:
    return float(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).max())


def largest(faces: list[dict[str, Any]], area: str) -> dict[str, Any]:
    return max(faces, key=lambda face: face[area]["w"] * face[area]["h"])


def apart(face: Face, analysed: list[dict[str, Any]], ages: list[float], represented: Any) -> Any:
    theirs = largest(analysed, "region")
    age = ages[analysed.index(theirs)]
    same = largest(represented, "facial_area")
    embedding = np.array(same["embedding"])
    box = face.box
    region = theirs["region"]
    return {
        "box": gap(
            (box.x, box.y, box.width, box.height), [region[side] for side in ("x", "y", "w", "h")]
        ),
        "confidence": gap(face.confidence, theirs["face_confidence"]),
        "age": gap(face.age, age),
        "truncated": int(age) == theirs["age"],
        "gender": gap(
            face.gender_probabilities, [theirs["gender"][g.capitalize()] / 100 for g in GENDERS]
        ),
        "ethnicity": gap(
            face.ethnicity_probabilities, [theirs["race"][name] / 100 for name in ETHNICITIES]
        ),
        "embedding": gap(face.embedding, embedding / np.linalg.norm(embedding)),
        "spread": [float(np.ptp(face.gender_probabilities)), face.age],
    }


def main(engine: str, home: str, detector: str, border: str, count: str) -> None:
    for way in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, way, refuse)
    settings = {"engine": engine, "detector": detector, "weights": home, "border": float(border)}
    analyser = build_analyser(DeepFaceSettings(**settings))
    analyser.load()
    people = draw_people(
        [f"A portrait of Name Number{n}" for n in range(int(count))], range(int(count))
    )
    pictures = [*paint_source(people, 128), np.zeros((64, 64, 3), np.uint8)]
    wide = np.zeros((128, 160, 3), np.uint8)
    wide[:, 16:144] = pictures[0]
    pictures.append(wide)

    deepface = part("deepface.DeepFace")
    ages: list[float] = []
    teller = model("facial_attribute", "Age")
    predict = teller.predict
    teller.predict = lambda shown: ages.append(float(predict(shown))) or ages[-1]
    found = []
    for picture, finding in zip(pictures, analyser.analyse(pictures), strict=True):
        ages.clear()
        bgr = np.ascontiguousarray(picture[:, :, ::-1])
        asked = {"detector_backend": detector, "enforce_detection": False}
        analysed = deepface.analyze(bgr, actions=["age", "gender", "race"], silent=True, **asked)
        represented = deepface.represent(bgr, model_name="ArcFace", **asked)
        told = {"status": finding.status, "theirs": [face["face_confidence"] for face in analysed]}
        if finding.face is not None:
            told |= apart(finding.face, analysed, ages, represented)
        found.append(told)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
