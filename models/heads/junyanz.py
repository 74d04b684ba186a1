"""Reads weights of the reference CycleGAN: latest_net_G.pth and latest_net_D.pth.

Layers of the published files are numbered; their order and their shapes tell which is which. Biases
before an instance norm are left out: the norm takes the mean, and with it the bias, away again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from models.heads.build import build_discriminator, build_network
from models.heads.patchgan import Patchgan
from models.heads.resnet import Resnet
from models.tensor_file import read_tensors
from schemas.head import PatchganSettings, ResnetSettings

_KEY = re.compile(r"model\.(\d+)\.(?:conv_block\.(\d+)\.)?(weight|bias)")
# What InstanceNorm2d of old versions counted and never used.
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_MEND = "use a latest_net_G.pth of a ResNet generator with instance norm"
_MEND_D = "use a latest_net_D.pth of a basic discriminator with instance norm"


@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution of a published file, and the block that it stands in."""

    name: str
    block: int | None
    weight: Tensor
    bias: Tensor | None


def load_generator(path: Path) -> Resnet:
    """The generator in a latest_net_G.pth; its width and number of blocks are read off it."""
    return published_generator(path)[0]


def published_generator(path: Path) -> tuple[Resnet, ResnetSettings]:
    """The same, with its settings."""
    published = read_tensors(path, f"name the file, {_MEND}")
    try:
        settings = generator_settings(published)
        network = build_network(settings, seed=0)
        network.load_state_dict(generator_weights(published))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    assert isinstance(network, Resnet)
    return network.eval(), settings


def generator_settings(published: Mapping[str, Tensor]) -> ResnetSettings:
    """The settings of the generator that these published weights are of."""
    layers = _layers(published, _MEND)
    in_blocks = [layer for layer in layers if layer.block is not None]
    width = len(layers[0].weight)
    settings = ResnetSettings(width=width, num_blocks=len(in_blocks) // 2)
    wanted = [
        (width, 3, 7, 7),
        (2 * width, width, 3, 3),
        (4 * width, 2 * width, 3, 3),
        *[(4 * width, 4 * width, 3, 3)] * (2 * settings.num_blocks),
        # Transposed convolutions have their inputs first.
        (4 * width, 2 * width, 3, 3),
        (2 * width, width, 3, 3),
        (3, width, 7, 7),
    ]
    _compare(layers, wanted, "generator", _MEND)
    return settings


def generator_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published weights under the names that `Resnet` has for them."""
    layers = _layers(published, _MEND)
    num_blocks = sum(layer.block is not None for layer in layers) // 2
    names = [
        "first.0.conv",
        "down.0.0",
        "down.1.0",
        *(f"blocks.{block}.branch.{place}.conv" for block in range(num_blocks) for place in (0, 3)),
        "up.0.0",
        "up.1.0",
    ]
    weights = {
        f"{name}.weight": layer.weight for name, layer in zip(names, layers[:-1], strict=True)
    }
    return weights | _with_bias("last", layers[-1])


def discriminator_settings(published: Mapping[str, Tensor]) -> PatchganSettings:
    """The settings of the discriminator that these published weights are of."""
    layers = _layers(published, _MEND_D)
    width, channels = layers[0].weight.shape[:2]
    widths = [width * min(2**layer, 8) for layer in range(len(layers) - 1)]
    wanted = [
        (out, fewer, 4, 4) for fewer, out in zip([channels, *widths], [*widths, 1], strict=True)
    ]
    _compare(layers, wanted, "discriminator", _MEND_D)
    return PatchganSettings(width=width, num_layers=len(layers) - 2, conditional=channels == 6)


def discriminator_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published weights under the names that `Patchgan` has for them."""
    first, *middle, last = _layers(published, _MEND_D)
    # Convolution, norm and leaky ReLU follow each other after the first two layers.
    weights = {f"layers.{2 + 3 * number}.weight": one.weight for number, one in enumerate(middle)}
    return _with_bias("layers.0", first) | weights | _with_bias("last", last)


def load_discriminator(path: Path) -> Patchgan:
    """The discriminator in a latest_net_D.pth."""
    published = read_tensors(path, f"name the file, {_MEND_D}")
    try:
        network = build_discriminator(discriminator_settings(published), seed=0)
        network.load_state_dict(discriminator_weights(published))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return network.eval()


def _layers(published: Mapping[str, Tensor], mend: str) -> list[_Layer]:
    """The convolutions in the order in which they are applied."""
    # DataParallel puts "module." before every name.
    named = {name.removeprefix("module."): one for name, one in published.items()}
    found: dict[tuple[int, int], _Layer] = {}
    for name, one in named.items():
        if name.endswith(_STATISTICS):
            continue
        key = _KEY.fullmatch(name)
        if key is None:
            raise ValueError(f"{name!r}: no name of a layer of the reference; {mend}")
        if key[3] == "bias":
            if f"{name.removesuffix('bias')}weight" not in named:
                raise ValueError(f"{name!r}: has no weight beside it; {mend}")
            continue
        if one.ndim != 4:
            raise ValueError(f"{name!r}: belongs to a norm with learned scales; {mend}")
        bias = named.get(f"{name.removesuffix('weight')}bias")
        block = None if key[2] is None else int(key[1])
        found[int(key[1]), int(key[2] or 0)] = _Layer(name, block, one, bias)
    if len(found) < 3:
        raise ValueError(f"{len(found)} convolutions: too few; {mend}")
    return [found[place] for place in sorted(found)]


def _compare(layers: list[_Layer], wanted: Sequence[tuple[int, ...]], what: str, mend: str) -> None:
    for layer, shape in zip(layers, wanted, strict=False):
        if tuple(layer.weight.shape) != shape:
            raise ValueError(
                f"{layer.name!r}: has shape {tuple(layer.weight.shape)}, "
                f"a {what} has {shape} there; {mend}"
            )
    if len(layers) != len(wanted):
        raise ValueError(f"{len(layers)} convolutions: a {what} has {len(wanted)}; {mend}")
    for layer in (layers[-1], *(layers[:1] if what == "discriminator" else ())):
        if layer.bias is None:
            raise ValueError(f"{layer.name!r}: has no bias; {mend}")


def _with_bias(name: str, layer: _Layer) -> dict[str, Tensor]:
    assert layer.bias is not None
    return {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}
