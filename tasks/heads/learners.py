"""What happens in one training step, for each objective: its networks, its losses, its phases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from models.heads.blocks import HeadNetwork
from models.heads.build import build_discriminator, build_network
from models.heads.image_pool import ImagePool
from models.heads.losses import (
    CycleLoss,
    discriminator_loss,
    l1,
    paired_loss,
    scored_real,
)
from schemas.train import CycleObjective, PairedObjective, Pix2pixObjective, TrainConfig
from tasks.training.course import Losses
from tasks.training.learner import Learner, autocast, frozen
from tasks.training.ranks import Ranks

Perceptual = Callable[[Tensor, Tensor], Tensor]


class PairedLearner(Learner):
    """The pairwise U-Net's way, Eq. 1."""

    def __init__(
        self, config: TrainConfig, ranks: Ranks, device: torch.device, perceptual: Perceptual
    ) -> None:
        super().__init__(config, ranks, device)
        assert isinstance(config.objective, PairedObjective)
        self._objective, self._perceptual = config.objective, perceptual
        self._add("head", to_target=build_network(config.network, self._seed("to_target")))

    def _phases(
        self, pieces: list[tuple[Tensor, Tensor]]
    ) -> Iterator[tuple[str, Iterable[Losses]]]:
        yield "head", (self.losses(self._run["to_target"], *piece) for piece in pieces)

    def losses(self, run: Callable[..., Tensor], source: Tensor, target: Tensor) -> Losses:
        """Eq. 1 of a network's output; the validation loss is the same."""
        with autocast(self._config.numerics, self._device):
            output = run(source)
            loss = paired_loss(source, target, output, self._perceptual, self._objective.structure)
        objective = (
            self._objective.structure_weight * loss.structure
            + self._objective.perceptual_weight * loss.perceptual
        )
        return {
            "objective": objective,
            "loss": objective,
            "structure": loss.structure,
            "perceptual": loss.perceptual,
        }


class Pix2pixLearner(Learner):
    """A head and a discriminator that sees its input too."""

    def __init__(self, config: TrainConfig, ranks: Ranks, device: torch.device) -> None:
        super().__init__(config, ranks, device)
        assert isinstance(config.objective, Pix2pixObjective)
        self._objective = config.objective
        self._add("head", to_target=build_network(config.network, self._seed("to_target")))
        judge = build_discriminator(self._objective.discriminator, self._seed("judge"))
        self._add("judge", judge=judge)

    def _phases(
        self, pieces: list[tuple[Tensor, Tensor]]
    ) -> Iterator[tuple[str, Iterable[Losses]]]:
        made: list[Tensor] = []
        with frozen(self.networks["judge"]):
            yield "head", (self._head(source, target, made) for source, target in pieces)
        yield (
            "judge",
            (
                self._judge(source, target, output)
                for (source, target), output in zip(pieces, made, strict=True)
            ),
        )

    def _head(self, source: Tensor, target: Tensor, made: list[Tensor]) -> Losses:
        with autocast(self._config.numerics, self._device):
            output = self._run["to_target"](source)
            gan = scored_real(self._run["judge"](torch.cat([source, output], 1)))
        near = l1(output, target)
        made.append(output.detach())
        loss = gan + self._objective.lambda_l1 * near
        return {"objective": loss, "loss": loss, "gan": gan, "l1": near}

    def _judge(self, source: Tensor, target: Tensor, output: Tensor) -> Losses:
        with autocast(self._config.numerics, self._device):
            beside = torch.cat([torch.cat([source, target], 1), torch.cat([source, output], 1)])
            loss = discriminator_loss(*self._run["judge"](beside).chunk(2))
        return {"objective": loss, "judge": loss}


class CycleLearner(Learner):
    """CycleGAN and ESA-CycleGAN, Eq. 2 and 3."""

    def __init__(self, config: TrainConfig, ranks: Ranks, device: torch.device) -> None:
        super().__init__(config, ranks, device)
        assert isinstance(config.objective, CycleObjective)
        self._objective = config.objective
        self._add(
            "generators",
            to_target=build_network(config.network, self._seed("to_target")),
            to_source=build_network(config.network, self._seed("to_source")),
        )
        judge = self._objective.discriminator
        self._add(
            "judges",
            judge_target=build_discriminator(judge, self._seed("judge_target")),
            judge_source=build_discriminator(judge, self._seed("judge_source")),
        )
        for side in ("target", "source"):
            seed = self._seed("pool", side, ranks.rank)
            self.pools[side] = ImagePool(self._objective.pool, seed)

    @property
    def way_back(self) -> HeadNetwork:
        """The network from targets to sources."""
        way_back = self.networks["to_source"]
        assert isinstance(way_back, HeadNetwork)
        return way_back

    def _phases(
        self, pieces: list[tuple[Tensor, Tensor]]
    ) -> Iterator[tuple[str, Iterable[Losses]]]:
        made: list[Tensor] = []
        # One way after the other: memory need not hold what both keep for going back.
        ways = [
            way
            for source, target in pieces
            for way in ((source, target, "target"), (target, source, "source"))
        ]
        with frozen(self.networks["judge_target"], self.networks["judge_source"]):
            yield "generators", (self._generators(*way, made) for way in ways)
        yield (
            "judges",
            (self._judge(*way[1:], output) for way, output in zip(ways, made, strict=True)),
        )

    def _generators(self, begin: Tensor, real: Tensor, side: str, made: list[Tensor]) -> Losses:
        """The loss of pictures that are made to look like one side's, and go back."""
        there = self._run[f"to_{side}"]
        back = self._run["to_source" if side == "target" else "to_target"]
        weights, identity = self._objective, None
        with autocast(self._config.numerics, self._device):
            if weights.lambda_identity:
                # One call for both is the same function, and faster.
                output, same = there(torch.cat([begin, real])).chunk(2)
                identity = l1(same, real)
            else:
                output = there(begin)
            gan = scored_real(self._run[f"judge_{side}"](output))
            loss = CycleLoss(gan, cycle=l1(back(output), begin), identity=identity)
        made.append(output.detach())
        total = loss.total(weights.lambda_cycle, weights.lambda_identity)
        told = {"objective": total, "loss": total, f"gan_{side}": gan, "cycle": loss.cycle}
        return told if identity is None else {**told, "identity": identity}

    def _judge(self, real: Tensor, side: str, made: Tensor) -> Losses:
        shown = self.pools[side].exchange(made)
        with autocast(self._config.numerics, self._device):
            scores = self._run[f"judge_{side}"](torch.cat([real, shown]))
            loss = discriminator_loss(*scores.chunk(2))
        return {"objective": loss, f"judge_{side}": loss}


def build_learner(
    config: TrainConfig, ranks: Ranks, device: torch.device, perceptual: Perceptual | None
) -> Learner:
    """The learner of an objective; the paired one needs something perceptual."""
    if isinstance(config.objective, CycleObjective):
        return CycleLearner(config, ranks, device)
    if isinstance(config.objective, Pix2pixObjective):
        return Pix2pixLearner(config, ranks, device)
    assert perceptual is not None
    return PairedLearner(config, ranks, device, perceptual)
