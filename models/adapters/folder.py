"""An adapter's folder: `config.json`, the two files of its weights and a card; whole or not there.

`pipe.load_lora_weights(FOLDER)` takes diffusers' file out of it.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import nn

from models.adapters.card import card
from models.adapters.lora import add_lora, lora_parameters
from models.adapters.lora_files import DIFFUSERS, KOHYA, diffusers_file, kohya_file, load_lora_file
from models.checksums import sha256_of
from models.heads.folder import CARD, CONFIG, sha256, write_folder
from schemas.adapter import FORMAT, VERSION, AdapterFacts, AdapterRecord
from schemas.lora import AdapterSettings
from schemas.run import ModelIdentity
from schemas.settings import as_plain, resolve


def write_adapter(
    folder: Path,
    unet: nn.Module,
    settings: AdapterSettings,
    base: ModelIdentity,
    training: AdapterFacts | None,
) -> AdapterRecord:
    """Write a UNet's LoRA into a folder, in place of an adapter that may be there."""
    weights = diffusers_file(unet, settings)
    record = AdapterRecord(
        adapter=settings, base=base, weights_sha256=sha256(weights), training=training
    )
    num_parameters = sum(one.numel() for one in lora_parameters(unet).values())
    files = {
        DIFFUSERS: weights,
        KOHYA: kohya_file(unet, settings),
        CARD: card(record, num_parameters).encode(),
        CONFIG: json.dumps(as_plain(record), indent=2).encode() + b"\n",
    }
    write_folder(folder, files, "adapter", FORMAT)
    return record


def read_adapter(folder: Path) -> AdapterRecord:
    """config.json of an adapter's folder; a ValueError lists every mistake in it."""
    path = folder / CONFIG
    try:
        told = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be read: {error.strerror}; name the folder that relume lora wrote"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON: {error}; get the adapter again") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise ValueError(f"{path}: is of no adapter; name the folder that relume lora wrote")
    if told.get("version") != VERSION:
        raise ValueError(
            f"{path}: version = {told.get('version')!r}: this Relume reads {VERSION}; use the "
            "Relume that wrote it"
        )
    return resolve(AdapterRecord, told, str(path))


def check_published(file: Path) -> None:
    """ValueError where a file is not the one that an adapter's config.json beside it is of.

    A LoRA of somebody else has no such record.
    """
    try:
        told = json.loads((file.parent / CONFIG).read_bytes())
    except (OSError, ValueError):
        return
    if file.name == DIFFUSERS and isinstance(told, dict) and told.get("format") == FORMAT:
        _check_sum(file, read_adapter(file.parent))


def load_adapter(folder: Path, unet: nn.Module, base: ModelIdentity | None = None) -> AdapterRecord:
    """Put a folder's adapter beside a UNet's layers, ready for use.

    ValueError names the first tensor that does not fit, or the first file of `base` that is not the
    one that it was trained beside.
    """
    record = read_adapter(folder)
    file = folder / DIFFUSERS
    if not file.exists():
        raise ValueError(f"{file}: is missing; get the adapter again")
    _check_sum(file, record)
    if base is not None:
        _check_base(folder, record.base, base)
    add_lora(unet, record.adapter, 0)
    load_lora_file(unet, record.adapter, file)
    unet.requires_grad_(False).eval()
    return record


def _check_sum(file: Path, record: AdapterRecord) -> None:
    if sha256_of([file])[file] != record.weights_sha256:
        raise ValueError(
            f"{file}: is not the file that {CONFIG} is of (its sha256 differs); get it again"
        )


def _check_base(folder: Path, wanted: ModelIdentity, found: ModelIdentity) -> None:
    for name, sum_ in sorted(wanted.weights.items()):
        if name.startswith("unet/") and found.weights.get(name) != sum_:
            raise ValueError(
                f"{folder}: was trained beside {wanted.model!r}, whose {name} is another file than "
                f"that of {found.model!r}; use that model"
            )
