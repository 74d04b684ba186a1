"""`relume doctor`: says what this machine can do, and what is missing for a preset or a folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console
from workflows.fetch import face_settings


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Say what this machine can do. Without options it looks at the machine alone."""

    config: Path | None = None
    """preset whose models are looked for"""
    folder: Path | None = None
    """folder of datasets, which is tried with a few small files"""
    faces: Annotated[bool, tyro.conf.arg(help="look for the models of relume audit")] = False
    detector: str = "retinaface"
    """with --faces: what looks for faces"""
    engine: Literal["onnx", "pytorch"] = "onnx"
    """with --faces: what runs the models"""
    weights: Path | None = None
    """with --faces: folder that holds .deepface/weights"""
    json: Annotated[bool, tyro.conf.arg(help="print the findings as JSON")] = False


def main(argv: list[str]) -> int:
    """Look, and tell; 1 if something that was asked for is missing."""
    arguments: Arguments = parse(Arguments, "doctor", argv)

    from schemas.config import read_preset
    from tasks import examine_machine as examine

    preset = None if arguments.config is None else read_preset(arguments.config)
    findings = [
        examine.examine_python(),
        examine.examine_gpus(),
        examine.examine_ray(),
        examine.examine_slurm(),
    ]
    # What a machine lacks is bad only for who needs it.
    needed = {"GPUs"} if preset and preset.generator.kind == "diffusers" else set()
    asked = [] if preset is None else examine.examine_models(preset)
    if arguments.faces:
        faces = face_settings(arguments.detector, arguments.engine, arguments.weights)
        asked += examine.examine_faces(faces)
    asked += [] if arguments.folder is None else examine.examine_folder(arguments.folder)
    missing = [one for one in findings if one.what in needed and not one.well]
    missing += [one for one in asked if not one.well]
    console = Console()
    if arguments.json:
        told = [asdict(one) for one in [*findings, *asked]]
        console.result(json.dumps({"findings": told, "well": not missing}))
    else:
        for one in [*findings, *asked]:
            mark = "ok" if one.well else "MISSING" if one in missing else "-"
            mend = f"; {one.mend}" if one.mend and not one.well else ""
            console.result(f"{mark:8}{one.what}: {one.seen}{mend}")
    return INCOMPLETE if missing else DONE


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
