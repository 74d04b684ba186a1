"""DeepFace's models in miniature, in its own layout: .deepface/weights and the real names.

The ONNX graphs have the inputs and outputs of the real ones. Those of attributes and identity are
random. RetinaFace's finds what `retinaface_graph` says, and no faces: it tests the instrument. The
PyTorch files have the real shapes, which DeepFace fixes, but hold the same few numbers many times
over, and so take 4 MB in all.

Writing ONNX graphs needs the package onnx, of the development tools.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from models.faces.weights import ATTRIBUTE_FILES, EMBEDDING_FILE, RETINAFACE_FILE, weights_folder
from models.tiny.onnx_pieces import constant, node, onnx_model, value
from models.tiny.retinaface import retinaface_graph
from models.tiny.weights import seeded

CLASSES = {"Age": 101, "Gender": 2, "Race": 6}
IDENTITY = 512
# Brings the scores of DeepFace's PyTorch classifiers to about 1 with these weights.
_LAST_LAYER = 300.0


def write_deepface_onnx(folder: Path) -> None:
    """Write tiny ONNX graphs into a new folder, which can then be DEEPFACE_HOME."""
    weights = weights_folder(folder)
    weights.mkdir(parents=True)
    for seed, (name, file) in enumerate(ATTRIBUTE_FILES.items()):
        graph = _classifier(f"tiny-{name}", 224, 16, CLASSES[name], softmax=True, seed=seed)
        (weights / f"{file}.onnx").write_bytes(graph.SerializeToString())
    identity = _classifier("tiny-ArcFace", 112, 16, IDENTITY, softmax=False, seed=9)
    (weights / f"{EMBEDDING_FILE}.onnx").write_bytes(identity.SerializeToString())
    graph = retinaface_graph()
    (weights / f"{RETINAFACE_FILE}.onnx").write_bytes(graph.SerializeToString())


def write_deepface_pytorch(folder: Path) -> None:
    """Write PyTorch weights of the real shapes into a new folder, in 4 MB."""
    import torch

    weights = weights_folder(folder)
    weights.mkdir(parents=True)
    for seed, (file, build) in enumerate(pytorch_models().items()):
        # On the meta device, shapes take no memory.
        with torch.device("meta"):
            state = build().state_dict()
        with seeded(seed):
            repeated = {name: _repeated(tensor, name) for name, tensor in state.items()}
        torch.save(repeated, weights / f"{file}.pth")


def pytorch_models() -> Mapping[str, Callable[[], Any]]:
    """DeepFace's own PyTorch models without weights, by the names of their files."""
    attributes = {
        file: import_module(f"deepface.models.demography.pytorch.{name}").base_model
        for name, file in ATTRIBUTE_FILES.items()
    }
    arcface = import_module("deepface.models.facial_recognition.pytorch.ArcFace")
    retinaface = import_module("retinaface.model.retinaface_pth_model")
    return {
        **attributes,
        EMBEDDING_FILE: arcface.base_model,
        RETINAFACE_FILE: retinaface.RetinaFace,
    }


def _classifier(
    name: str, size_px: int, pool: int, classes: int, *, softmax: bool, seed: int
) -> Any:
    """A pooled picture through one random layer, strong enough that pictures differ."""
    from onnx import helper

    pooled = 3 * (size_px // pool) ** 2
    weights = np.random.default_rng(seed).normal(size=(pooled, classes)) * (6 / math.sqrt(pooled))
    nodes = [
        node("Transpose", ["input"], ["channels"], perm=[0, 3, 1, 2]),
        node(
            "AveragePool",
            ["channels"],
            ["cells"],
            kernel_shape=[pool, pool],
            strides=[pool, pool],
        ),
        node("Flatten", ["cells"], ["flat"], axis=1),
        node("MatMul", ["flat", "weights"], ["scores" if softmax else "output"]),
        *([node("Softmax", ["scores"], ["output"], axis=1)] if softmax else []),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [value("input", ["n", size_px, size_px, 3])],
        [value("output", ["n", classes])],
        [constant("weights", weights)],
    )
    return onnx_model(graph)


def _repeated(tensor: Any, name: str) -> Any:
    """A tensor of this shape that shows the same few numbers over and over."""
    import torch

    if not tensor.dtype.is_floating_point:
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    if name.startswith("face_rpn"):
        # Scores of a half: RetinaFace finds nothing.
        return torch.zeros(1).expand(tensor.shape)
    if tensor.dim() < 2:
        # Biases and means are 0, so that a network doubles with its weights.
        plain = 0.0 if name.endswith(("bias", "running_mean")) else 1.0
        return torch.tensor([plain]).expand(tensor.shape)
    # Steps that grow by the lengths before them would show no number twice; these show them often.
    steps = tuple(2 * place + 1 for place in reversed(range(tensor.dim())))
    room = 1 + sum(step * (length - 1) for step, length in zip(steps, tensor.shape, strict=True))
    scale = _LAST_LAYER if name == "predictions.weight" else 1.0
    numbers = torch.randn(room) * (scale / math.sqrt(tensor[0].numel()))
    return numbers.as_strided(tensor.shape, steps)
