"""A CycleGAN's step as its publication describes it, and nothing for speed: the peer of ours.

InstanceNorm2d, float32, channels first, one call of a discriminator for the real and one for the
made pictures, one of a generator for each loss.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Losses = dict[str, float]


class PlainCycleGan:
    """Two generators and two discriminators by name, as they come: whoever made them."""

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        *,
        learning_rate: float,
        lambda_cycle: float,
        lambda_identity: float,
    ) -> None:
        self._networks = networks
        self._cycle, self._identity = lambda_cycle, lambda_identity
        self._generators, self._judges = (
            torch.optim.Adam(
                itertools.chain(*(networks[name].parameters() for name in names)),
                lr=learning_rate,
                betas=(0.5, 0.999),
            )
            for names in (("to_target", "to_source"), ("judge_target", "judge_source"))
        )

    def step(self, source: Tensor, target: Tensor) -> Losses:
        """One step on pictures in -1..1."""
        nets: Any = self._networks
        judges = [nets["judge_target"], nets["judge_source"]]
        for judge in judges:
            judge.requires_grad_(False)
        made, back_made = nets["to_target"](source), nets["to_source"](target)
        back, again = nets["to_source"](made), nets["to_target"](back_made)
        losses = {
            "gan_target": _near(nets["judge_target"](made), 1),
            "gan_source": _near(nets["judge_source"](back_made), 1),
            "cycle": functional.l1_loss(back, source) + functional.l1_loss(again, target),
        }
        total = losses["gan_target"] + losses["gan_source"] + self._cycle * losses["cycle"]
        if self._identity:
            losses["identity"] = functional.l1_loss(
                nets["to_target"](target), target
            ) + functional.l1_loss(nets["to_source"](source), source)
            total = total + self._identity * losses["identity"]
        self._generators.zero_grad()
        torch.autograd.backward(total)
        self._generators.step()
        for judge in judges:
            judge.requires_grad_(True)
        self._judges.zero_grad()
        for name, real, fake in (
            ("judge_target", target, made),
            ("judge_source", source, back_made),
        ):
            on_real, on_made = nets[name](real), nets[name](fake.detach())
            losses[name] = 0.5 * (_near(on_real, 1) + _near(on_made, 0))
            torch.autograd.backward(losses[name])
        self._judges.step()
        return {name: float(loss.detach()) for name, loss in losses.items()}


def _near(scores: Tensor, wanted: float) -> Tensor:
    return functional.mse_loss(scores, torch.full_like(scores, wanted))
