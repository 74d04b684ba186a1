"""Asks every node of a cluster something, without taking a place from anybody's work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from schemas.endings import CannotGoOn

Answer = TypeVar("Answer")


def asked_on_each_node(question: Callable[[], Answer], with_resource: str) -> list[Answer]:
    """The answers of all nodes that have a resource, such as GPU; none where no node has it."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    wanted = [node for node in nodes if node["Alive"] and node["Resources"].get(with_resource)]
    asked = [
        ray.remote(question)
        .options(
            num_cpus=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        )
        .remote()
        for node in wanted
    ]
    try:
        answers: list[Answer] = ray.get(asked)
    except RayTaskError as error:
        if isinstance(error.cause, CannotGoOn):
            raise error.cause from None
        raise
    return answers
