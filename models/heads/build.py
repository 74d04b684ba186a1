"""Makes networks from their settings, and gives them their first weights."""

from __future__ import annotations

import torch
from torch import nn

from models.heads.blocks import HeadNetwork
from models.heads.patchgan import Patchgan
from models.heads.resnet import Resnet
from models.heads.unet import Unet
from schemas.head import NetworkSettings, Norm, PatchganSettings, ResnetSettings

_SPREAD = 0.02


def build_network(settings: NetworkSettings, seed: int) -> HeadNetwork:
    """The network of a head, initialised from this seed."""
    # Modules draw first weights of their own, which nothing keeps.
    with torch.random.fork_rng(devices=[]):
        network = Resnet(settings) if isinstance(settings, ResnetSettings) else Unet(settings)
    initialise(network, seed, settings.norm)
    return network


def build_discriminator(settings: PatchganSettings, seed: int) -> Patchgan:
    """A discriminator, initialised from this seed."""
    with torch.random.fork_rng(devices=[]):
        network = Patchgan(settings)
    initialise(network, seed, settings.norm)
    return network


@torch.no_grad()
def initialise(network: nn.Module, seed: int, norm: Norm) -> None:
    """Weights from N(0, 0.02), biases 0; the last layer 0 where a head adds to its input.

    Without norms nothing brings such small answers back to size, and a network would begin deaf:
    there the spread is He's, which keeps their size.
    """
    chance = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # Drawn on the CPU, so that every device begins alike.
            drawn = torch.empty(module.weight.shape)
            if norm == "none":
                nn.init.kaiming_normal_(drawn, generator=chance)
            else:
                drawn.normal_(0, _SPREAD, generator=chance)
            module.weight.copy_(drawn)
            if module.bias is not None:
                module.bias.zero_()
    if isinstance(network, HeadNetwork) and network.residual_output:
        network.last.weight.zero_()
