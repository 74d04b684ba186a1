"""What a machine can do for Relume: looked at, never guessed, and nothing is changed for good."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from schemas.audit import DeepFaceSettings
from schemas.config import Preset
from shards.space import room_left

_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is well, what was seen, and what would mend it."""

    what: str
    well: bool
    seen: str
    mend: str = ""


def examine_python() -> Finding:
    """The interpreter and the processors."""
    return Finding(
        "python", True, f"{platform.python_version()} on {os.cpu_count()} processors of this node"
    )


def examine_gpus() -> Finding:
    """The GPUs, as torch sees them."""
    import torch

    if not torch.cuda.is_available():
        mend = "procedural pictures need none; for diffusion models run this on a GPU node"
        return Finding("GPUs", False, f"torch {torch.__version__} sees none", mend)
    cards = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    told = ", ".join(f"{card.name} with {card.total_memory / 2**30:.0f} GiB" for card in cards)
    return Finding("GPUs", True, told)


def examine_ray() -> Finding:
    """Ray, and the cluster that this shell points to."""
    where = os.environ.get("RAY_ADDRESS", "none given, one is started on this machine")
    mode = os.environ.get("RAY_AUTH_MODE", "unset")
    return Finding("Ray", True, f"{version('ray')}; RAY_ADDRESS {where}; RAY_AUTH_MODE {mode}")


def examine_slurm() -> Finding:
    """Slurm's commands."""
    if shutil.which("sinfo") is None:
        return Finding("Slurm", False, "no sinfo on the path", "needed only to submit to Slurm")
    try:
        done = subprocess.run(
            ["sinfo", "--version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("Slurm", False, str(error), "ask whether slurmctld runs")
    return Finding("Slurm", True, done.stdout.strip())


def examine_models(preset: Preset) -> list[Finding]:
    """Every model of a preset: where it lies, or where it was looked for."""
    if preset.generator.kind == "procedural":
        return [Finding("models", True, "none needed by the painter")]
    if preset.generator.kind == "folder":
        return [Finding("models", True, "none needed: photographs are read from a folder")]
    from models.generators.diffusers_pair.checkpoint import find_checkpoint

    findings = []
    for model, revision in sorted({(s.model, s.revision) for s in preset.stage.values()}):
        try:
            checkpoint = find_checkpoint(model, revision)
            files = [path for name in checkpoint.components for path in checkpoint.files(name)]
        except ValueError as error:
            seen, _, mend = str(error).partition("; ")
            findings.append(Finding(f"model {model}", False, seen, mend))
        else:
            gigabytes = sum(path.stat().st_size for path in files) / 1e9
            told = f"{gigabytes:.1f} GB, commit {checkpoint.revision}, in {checkpoint.folder}"
            findings.append(Finding(f"model {model}", True, told))
    return findings


def examine_faces(settings: DeepFaceSettings) -> list[Finding]:
    """Every file that looks for faces and at them: where it lies, or where it was looked for."""
    from models.faces.weights import needed_files

    findings = []
    for file in needed_files(settings):
        what, path = f"faces {file.path.name}", file.path
        if path.is_file():
            told = f"{path.stat().st_size / 1e6:,.1f} MB in {path.parent}"
            findings.append(Finding(what, True, told))
        else:
            findings.append(Finding(what, False, f"{path} is missing", "relume fetch --faces"))
    return findings


def examine_folder(folder: Path) -> list[Finding]:
    """Whether a folder does what publishing needs: link once only, rename, sync; and its room."""
    if not folder.is_dir():
        return [Finding("folder", False, f"{folder} is no folder", "make it, or name another")]
    probe = folder / f".relume-doctor-{secrets.token_hex(4)}"
    try:
        probe.mkdir()
    except OSError as error:
        mend = "ask for the permission, or name another"
        return [Finding("folder", False, f"{folder}: {error.strerror}", mend)]
    try:
        findings = [_try_links(probe), _try_rename(probe), _try_sync(probe)]
    finally:
        shutil.rmtree(probe, ignore_errors=True)
    for room in room_left(folder):
        parts = [] if room.bytes is None else [f"{room.bytes / 1e9:,.0f} GB"]
        parts += [] if room.files is None else [f"{room.files:,} files"]
        findings.append(Finding(f"room by {room.limit}", True, f"{' and '.join(parts)} left"))
    return findings


def _try_links(probe: Path) -> Finding:
    (probe / "a").write_bytes(b"a")
    (probe / "b").write_bytes(b"b")
    mend = "datasets need a filesystem with hard links that never replace a name"
    try:
        os.link(probe / "a", probe / "linked")
        try:
            os.link(probe / "b", probe / "linked")
        except FileExistsError:
            same = (probe / "a").samefile(probe / "linked")
            return Finding("links", same, "a second link to a name is refused", mend)
    except OSError as error:
        return Finding("links", False, str(error.strerror), mend)
    return Finding("links", False, "a second link replaced the first", mend)


def _try_rename(probe: Path) -> Finding:
    (probe / "new").write_bytes(b"new")
    (probe / "old").write_bytes(b"old")
    (probe / "new").rename(probe / "old")
    whole = (probe / "old").read_bytes() == b"new"
    return Finding("renames", whole, "a file takes the place of another", "name another folder")


def _try_sync(probe: Path) -> Finding:
    try:
        for path, flags in ((probe / "old", os.O_WRONLY), (probe, os.O_RDONLY | os.O_DIRECTORY)):
            fd = os.open(path, flags)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
    except OSError as error:
        mend = "a crash could lose what was published; name another folder"
        return Finding("fsync", False, str(error.strerror), mend)
    return Finding("fsync", True, "files and folders are brought to the disk")
