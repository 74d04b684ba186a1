"""The two files that a LoRA is published as, and their reader, which fills in nothing.

`pytorch_lora_weights.safetensors` is diffusers' own: PEFT's names after `unet.`, and the settings
beside them. Without these alpha would become the rank on loading; under diffusers' older names 256
matrices of attention would be left out without a word (diffusers 0.42.1). `kohya.safetensors` has
the names of kohya's trainer, with an alpha beside each layer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from models.adapters.lora import check_names, lora_parameters, lora_tensors, set_lora
from schemas.lora import AdapterSettings

DIFFUSERS, KOHYA = "pytorch_lora_weights.safetensors", "kohya.safetensors"
_PREFIX, _KOHYA_PREFIX = "unet.", "lora_unet_"
# Where diffusers looks for the settings of an adapter.
_SETTINGS = "lora_adapter_metadata"
_OF_KOHYA = {".lora_A.weight": ".lora_down.weight", ".lora_B.weight": ".lora_up.weight"}


def diffusers_file(unet: nn.Module, settings: AdapterSettings) -> bytes:
    """The bytes of a file that `pipe.load_lora_weights` loads whole, with the right alpha."""
    told = {
        "r": settings.rank,
        "lora_alpha": settings.stored_alpha,
        # Never that of training: diffusers 0.42.1 puts its layers in training mode on loading, and
        # would draw with dropout at work.
        "lora_dropout": 0.0,
        "target_modules": list(settings.targets),
        "bias": "none",
    }
    metadata = {
        "format": "pt",
        _SETTINGS: json.dumps({f"{_PREFIX}{key}": value for key, value in told.items()}),
    }
    tensors = {f"{_PREFIX}{name}": one for name, one in lora_tensors(unet).items()}
    return _stable_bytes(tensors, metadata)


def kohya_file(unet: nn.Module, settings: AdapterSettings) -> bytes:
    """The bytes of a file in the names of kohya's trainer, which web interfaces load."""
    tensors: dict[str, Tensor] = {}
    for name, one in lora_tensors(unet).items():
        tensors[_kohya_name(name)] = one
        tensors[_alpha_name(name)] = torch.tensor(float(settings.stored_alpha))
    shape = {"conv_dim": str(settings.rank), "conv_alpha": str(settings.stored_alpha)}
    metadata = {
        "format": "pt",
        "ss_base_model_version": "sd_v1",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(settings.rank),
        "ss_network_alpha": str(settings.stored_alpha),
        "ss_network_args": json.dumps(shape),
    }
    return _stable_bytes(tensors, metadata)


def load_lora_file(unet: nn.Module, settings: AdapterSettings, file: Path) -> None:
    """Fill a UNet's LoRA from either file; ValueError names the first thing that does not fit."""
    tensors, metadata = _read(file)
    if any(name.startswith(_KOHYA_PREFIX) for name in tensors):
        _fill_from_kohya(unet, settings, file, tensors)
        return
    _check_alpha(settings, file, metadata)
    others = sorted(name for name in tensors if not name.startswith(_PREFIX))
    if others:
        raise ValueError(
            f"{file}: has {others[0]!r}, and a LoRA of a UNet's layers has only names that begin "
            f"with {_PREFIX!r}; use the file as it was published"
        )
    plain = {name.removeprefix(_PREFIX): one for name, one in tensors.items()}
    set_lora(unet, plain, str(file))


def _fill_from_kohya(
    unet: nn.Module, settings: AdapterSettings, file: Path, tensors: Mapping[str, Tensor]
) -> None:
    # From the network to the names: a name of kohya's does not say which _ was a dot.
    names = {_kohya_name(name): name for name in lora_parameters(unet)}
    alphas = dict.fromkeys(_alpha_name(name) for name in names.values())
    check_names(names | alphas, tensors, str(file))
    for alpha in alphas:
        if float(tensors[alpha]) != settings.stored_alpha:
            raise ValueError(
                f"{file}: {alpha!r} is {float(tensors[alpha]):g}, and {settings.stored_alpha} is "
                "wanted; read it with its own settings"
            )
    set_lora(unet, {ours: tensors[theirs] for theirs, ours in names.items()}, str(file))


def _check_alpha(settings: AdapterSettings, file: Path, metadata: Mapping[str, str]) -> None:
    try:
        told = json.loads(metadata[_SETTINGS])
        found = told[f"{_PREFIX}r"], told[f"{_PREFIX}lora_alpha"]
    except (KeyError, ValueError, TypeError):
        raise ValueError(
            f"{file}: does not say its rank and alpha in {_SETTINGS!r}, and a wrong alpha would go "
            "unnoticed; use the file as it was published"
        ) from None
    if found != (settings.rank, settings.stored_alpha):
        raise ValueError(
            f"{file}: has rank and alpha {found}, and {(settings.rank, settings.stored_alpha)} is "
            "wanted; read it with its own settings"
        )


def _read(file: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    try:
        with safe_open(file, "pt") as opened:
            metadata: Any = opened.metadata() or {}
            return {name: opened.get_tensor(name) for name in opened.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file}: cannot be read: {error}; get the adapter again") from None


def _stable_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file, with its metadata in their order: the library's own is by chance."""
    plain = save(dict(tensors))
    # Eight bytes of the header's length, the header, filled up with blanks, and the numbers.
    length = int.from_bytes(plain[:8], "little")
    header = {"__metadata__": dict(metadata), **json.loads(plain[8 : 8 + length])}
    told = json.dumps(header, separators=(",", ":")).encode()
    told += b" " * (-len(told) % 8)
    return len(told).to_bytes(8, "little") + told + plain[8 + length :]


def _kohya_name(name: str) -> str:
    """`a.b.lora_A.weight` is `lora_unet_a_b.lora_down.weight`."""
    layer, mark = _cut(name)
    return f"{_KOHYA_PREFIX}{layer.replace('.', '_')}{_OF_KOHYA[mark]}"


def _alpha_name(name: str) -> str:
    return f"{_KOHYA_PREFIX}{_cut(name)[0].replace('.', '_')}.alpha"


def _cut(name: str) -> tuple[str, str]:
    mark = next(mark for mark in _OF_KOHYA if name.endswith(mark))
    return name.removesuffix(mark), mark
