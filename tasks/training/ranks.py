"""The processes that train together: who this one is, and what they tell each other.

Gradients are averaged by one all-reduce of a flat tensor per network, not by torch's
DistributedDataParallel: its buckets change their order after the first step, so that a resumed run
would differ in its last digits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

# A rank that loads, validates or saves keeps the others waiting for it.
_TIMEOUT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Ranks:
    """One process among those of a run; alone by default."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this one speaks for all."""
        return self.rank == 0

    def share(self, batch_size: int) -> slice:
        """This process's part of a batch over all of them."""
        return slice(self.rank * batch_size, (self.rank + 1) * batch_size)

    def average(self, network: nn.Module) -> None:
        """Give each process the mean of all gradients of a network."""
        if self.count == 1:
            return
        gradients = [one.grad for one in network.parameters() if one.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(gradients, _cut_like(flat, gradients), strict=True):
            gradient.copy_(mean)

    def share_weights(self, network: nn.Module) -> None:
        """Give each process the weights of the first."""
        if self.count > 1:
            for tensor in network.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def most(self, values: Sequence[float], device: torch.device) -> list[float]:
        """The largest of each value over all processes."""
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        if self.count > 1:
            distributed.all_reduce(tensor, op=distributed.ReduceOp.MAX)
        found: list[float] = tensor.tolist()
        return found

    def mean(self, values: Mapping[str, float], device: torch.device) -> dict[str, float]:
        """The mean of each value over all processes."""
        tensor = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
        if self.count > 1:
            distributed.all_reduce(tensor)
            tensor /= self.count
        return dict(zip(values, tensor.tolist(), strict=True))

    def gathered(self, value: Any) -> list[Any]:
        """The values of all processes, in their order, in each of them."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Go on when all are here."""
        if self.count > 1:
            distributed.barrier()


def ranks_of(environment: Mapping[str, str]) -> Ranks:
    """This process among those that torchrun, or whatever set the same variables, has started."""
    if "WORLD_SIZE" not in environment:
        return Ranks()
    return Ranks(
        rank=int(environment["RANK"]),
        count=int(environment["WORLD_SIZE"]),
        local_rank=int(environment.get("LOCAL_RANK", environment["RANK"])),
    )


def join(ranks: Ranks, device: str, store: torch._C._distributed_c10d.Store | None = None) -> None:
    """Meet the other processes: by a store, or where the environment says."""
    if ranks.count == 1:
        return
    backend = "cpu:gloo,cuda:nccl" if device_of(device, ranks).type == "cuda" else "gloo"
    if store is None:
        distributed.init_process_group(backend, timeout=_TIMEOUT)
    else:
        distributed.init_process_group(
            backend, store=store, rank=ranks.rank, world_size=ranks.count, timeout=_TIMEOUT
        )


def part(ranks: Ranks) -> None:
    """Leave the other processes."""
    if ranks.count > 1:
        distributed.destroy_process_group()


def device_of(wanted: str, ranks: Ranks) -> torch.device:
    """Where this process trains; ValueError where a GPU is wanted and none is seen."""
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        told = "" if visible is None else f" with CUDA_VISIBLE_DEVICES={visible!r}"
        raise ValueError(
            f"numerics.device = 'cuda': no CUDA device is seen{told}; "
            "start it on a node with one, or say 'cpu'"
        )
    if wanted == "cpu" or not there:
        return torch.device("cpu")
    device = torch.device("cuda", ranks.local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def _cut_like(flat: Tensor, shapes: Sequence[Tensor]) -> list[Tensor]:
    pieces = torch.split(flat, [one.numel() for one in shapes])
    return [piece.view_as(one) for piece, one in zip(pieces, shapes, strict=True)]
