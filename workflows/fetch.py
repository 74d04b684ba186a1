"""`relume fetch`: brings the models of a preset here, before nodes without internet need them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from workflows.cli import DONE, parse, run_verb
from workflows.console import Console, size

if TYPE_CHECKING:
    from schemas.audit import DeepFaceSettings
    from schemas.guide import Distance


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Download models: those of a preset into the hub's cache, and others. Run it on a login node.

    No other verb opens a connection to the outside. HF_HOME says where the cache lies, HF_TOKEN
    opens models whose licence you have accepted.
    """

    config: tyro.conf.Positional[Path | None] = None
    """preset, for example configs/paper.toml"""
    faces: Annotated[bool, tyro.conf.arg(help="the models of relume audit")] = False
    detector: str = "retinaface"
    """with --faces: what looks for faces"""
    engine: Literal["onnx", "pytorch"] = "onnx"
    """with --faces: what runs the models"""
    weights: Path | None = None
    """with --faces: folder for .deepface/weights; without it DEEPFACE_HOME, or the home folder"""
    lpips: Literal["vgg", "alex"] | None = None
    """the weights of this LPIPS"""
    lpips_weights: Path = Path("weights")
    """with --lpips: folder for them"""
    scorer: Literal["FaceScore", "ImageReward", "HPS"] | None = None
    """this scorer: of faces, to train one from, or of whole pictures and their prompts"""
    scorer_weights: Path = Path("weights")
    """with --scorer: folder for its own folder, for example weights/FaceScore"""
    metrics: Annotated[bool, tyro.conf.arg(help="Inception, DINOv2 and CLIP, which measure")] = (
        False
    )
    metrics_weights: Path = Path("weights")
    """with --metrics: folder for Inception's file; the others go into the hub's cache"""
    captions: Annotated[bool, tyro.conf.arg(help="the LLaVA 1.5 of relume caption")] = False
    captioner: str = "llava-hf/llava-1.5-7b-hf"
    """with --captions: its name on the hub"""


def main(argv: list[str]) -> int:
    """Fetch what is asked for."""
    arguments: Arguments = parse(Arguments, "fetch", argv)
    flags = (arguments.faces, arguments.metrics, arguments.captions)
    if not any((*flags, arguments.config, arguments.lpips, arguments.scorer)):
        raise ValueError(
            "relume fetch: name a preset, --faces, --lpips, --scorer, --metrics or --captions"
        )
    console = Console()
    if arguments.config is not None:
        _fetch_preset(arguments.config, console)
    if arguments.faces:
        _fetch_faces(arguments, console)
    if arguments.lpips is not None:
        from models.features.lpips import FILES

        for file in FILES[arguments.lpips]:
            _fetch_file(arguments.lpips_weights / file.path, [file.url], console)
    if arguments.scorer is not None:
        from models.published_files import SCORERS

        for one in SCORERS[arguments.scorer]:
            _fetch_file(arguments.scorer_weights / one.path, [one.url], console)
    if arguments.metrics:
        _fetch_measures(arguments.metrics_weights, console)
    if arguments.captions:
        _fetch_captioner(arguments.captioner, console)
    return DONE


def _fetch_captioner(model: str, console: Console) -> None:
    from models.captioner.llava import TEXTS
    from models.generators.diffusers_pair.fetching import fetch_safetensors

    console.note(f"fetching {model}")
    got = fetch_safetensors(model, "main", TEXTS)
    console.result(f"{got.model}: {size(got.bytes)} in {got.folder}")


def _fetch_preset(config: Path, console: Console) -> None:
    from schemas import facepairs, guide, lora
    from schemas.config import read_preset
    from schemas.settings import read_toml

    tables = read_toml(config)
    if lora.SECTION in tables:
        adapted = lora.lora_config(config, {})
        _fetch_models([(adapted.model, adapted.revision)], console)
        return
    if facepairs.SECTION in tables:
        paint = facepairs.facepair_settings(config, {}).inpaint
        _fetch_models([(paint.model, paint.revision)], console)
        return
    if guide.SECTION in tables:
        chosen = guide.guide_config(config, {})
        _fetch_models([(chosen.model, chosen.revision)], console)
        _fetch_dino(chosen.distance, console)
        return
    preset = read_preset(config)
    if preset.generator.kind == "procedural":
        console.result(f"{config}: its painter needs no model")
        return
    if preset.generator.kind == "folder":
        console.result(f"{config}: photographs are read from a folder, which is yours to bring")
        return
    _fetch_models({(stage.model, stage.revision) for stage in preset.stage.values()}, console)


def _fetch_dino(distance: Distance, console: Console) -> None:
    """The network that compares faces, where a preset asks for one."""
    from models.generators.diffusers_pair.fetching import fetch_files

    if distance.kind == "dino" and not Path(distance.model).is_dir():
        console.note(f"fetching {distance.model}")
        got = fetch_files(distance.model, distance.revision, ("config.json",))
        console.result(f"{got.model}: {size(got.bytes)} in {got.folder}")


def _fetch_models(wanted: Iterable[tuple[str, str]], console: Console) -> None:
    """Bring models of diffusers into the hub's cache."""
    from models.generators.diffusers_pair.fetching import fetch_model

    for model, revision in sorted(wanted):
        if Path(model).is_dir():
            console.result(f"{model}: is a folder, nothing to fetch")
            continue
        console.note(f"fetching {model}, revision {revision}")
        got = fetch_model(model, revision)
        console.result(f"{got.model}: {size(got.bytes)} in {got.folder}")
        if revision != got.commit:
            console.note(f'pin it with: revision = "{got.commit}"')


def _fetch_measures(folder: Path, console: Console) -> None:
    from models.features.vision_hub import HUB_MODELS
    from models.generators.diffusers_pair.fetching import fetch_files
    from models.published_files import MEASURES, check_published

    for file in (one for files in MEASURES.values() for one in files):
        _fetch_file(folder / file.path, [file.url], console)
        check_published(folder / file.path, file)
    for wanted in HUB_MODELS.values():
        console.note(f"fetching {wanted.model}")
        got = fetch_files(wanted.model, "main", wanted.files)
        console.result(f"{got.model}: {size(got.bytes)} in {got.folder}")


def _fetch_faces(arguments: Arguments, console: Console) -> None:
    from models.faces.weights import needed_files

    settings = face_settings(arguments.detector, arguments.engine, arguments.weights)
    for file in needed_files(settings):
        _fetch_file(file.path, file.addresses, console)


def _fetch_file(path: Path, addresses: Sequence[str], console: Console) -> None:
    from models.published_files import fetch_file

    console.note(f"fetching {addresses[0]}")
    num_bytes = fetch_file(path, addresses)
    console.result(f"{path}: {size(num_bytes) if num_bytes else 'is here already'}")


def face_settings(detector: str, engine: str, weights: Path | None) -> DeepFaceSettings:
    """The settings of the models that look for faces and at them."""
    from schemas.audit import DEEPFACE_BORDER, DeepFaceSettings
    from schemas.settings import resolve

    tables: dict[str, object] = {"detector": detector, "engine": engine}
    if weights is not None:
        tables["weights"] = str(weights.absolute())
    if detector not in ("retinaface", "opencv"):
        # Others would see faces at another size than DeepFace shows them.
        tables["border"] = DEEPFACE_BORDER
    return resolve(DeepFaceSettings, tables, "relume --detector --engine")


if __name__ == "__main__":
    raise SystemExit(run_verb(main, online=True))
