"""The ranking loss of Eq. 5, and a step on pairs with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional

from models.facescore.network import FaceScorer
from models.facescore.texts import face_tokens


def ranking_loss(good: Tensor, bad: Tensor) -> Tensor:
    """Eq. 5: the mean of -log(sigmoid(score of the good - score of the bad)) over pairs."""
    return functional.softplus(bad - good).mean()


def pair_scores(network: FaceScorer, good: Tensor, bad: Tensor) -> tuple[Tensor, Tensor]:
    """Raw scores of the good and of the bad faces of pairs, out of one pass."""
    both = torch.cat([good, bad])
    scores = network(both, face_tokens().to(both.device).repeated(len(both)))
    return scores[: len(good)], scores[len(good) :]


@contextmanager
def chance_of(seed: int, device: torch.device) -> Iterator[None]:
    """Within it dropouts are drawn from this seed, and nothing else is disturbed by them."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
