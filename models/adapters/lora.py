"""A LoRA beside the layers of a frozen UNet, by PEFT: W x + scale (B A) x.

Paper 2 writes W = W0 + alpha A B with A (d, r) and B (r, k); in PEFT's names A is the matrix that
comes first, and the scale is alpha / r. Knows no file and no training step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from schemas.lora import AdapterSettings

_ADAPTER = "default"
_MARKS = (".lora_A.", ".lora_B.")


def add_lora(unet: Any, settings: AdapterSettings, seed: int) -> None:
    """Put a new LoRA beside the layers of a UNet: float32, trainable, and changing nothing yet.

    Whatever else the UNet has is frozen. ValueError where a target is the name of no layer.
    """
    from peft import LoraConfig

    _check_targets(unet, settings)
    unet.requires_grad_(False)
    devices = [unet.device] if unet.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        unet.add_adapter(
            LoraConfig(
                r=settings.rank,
                lora_alpha=settings.stored_alpha,
                lora_dropout=settings.dropout,
                target_modules=list(settings.targets),
                init_lora_weights="gaussian" if settings.initial == "gaussian" else True,
            )
        )
    for parameter in lora_parameters(unet).values():
        # Steps of 5e-5 are lost in half precision; the frozen layers keep the format they have.
        parameter.data = parameter.data.float()


def lora_parameters(unet: nn.Module) -> dict[str, nn.Parameter]:
    """The trainable matrices by PEFT's names of them, without the name of the adapter."""
    return {
        name.replace(f".{_ADAPTER}.", "."): parameter
        for name, parameter in unet.named_parameters()
        if any(mark in name for mark in _MARKS)
    }


def lora_tensors(unet: nn.Module) -> dict[str, Tensor]:
    """Copies of the matrices on the processor, in float32."""
    return {
        name: parameter.detach().to("cpu", torch.float32, copy=True).contiguous()
        for name, parameter in lora_parameters(unet).items()
    }


def set_lora(unet: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Give the matrices these values; ValueError names `where` and the first that does not fit."""
    parameters = lora_parameters(unet)
    check_names(parameters, tensors, where)
    for name, parameter in parameters.items():
        found, wanted = tuple(tensors[name].shape), tuple(parameter.shape)
        if found != wanted:
            raise ValueError(
                f"{where}: {name!r} has shape {found}, this network takes {wanted}; "
                "use a LoRA of the same base model and rank"
            )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])


def check_names(
    wanted: Mapping[str, object], found: Mapping[str, object], where: str, what: str = "tensor"
) -> None:
    """Raise a ValueError that names the first that is missing, more than wanted, or renamed."""
    missing, more = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if not missing and not more:
        return
    told = f"lacks the {what} {missing[0]!r}" if missing else ""
    if more:
        told += (" and has " if missing else "has ") + f"{more[0]!r}, which belongs to no layer"
    counts = f"{len(missing)} missing, {len(more)} too many of {len(wanted)}"
    raise ValueError(
        f"{where}: {told} ({counts}); use the file as it was published, and with its base model"
    )


def _check_targets(unet: nn.Module, settings: AdapterSettings) -> None:
    names = [name for name, _ in unet.named_modules()]
    for target in settings.targets:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            raise ValueError(
                f"adapter.targets: {target!r} is the end of no layer's name in this UNet; leave it "
                "out, or correct it"
            )
