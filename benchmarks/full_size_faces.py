"""DeepFace's models at full size with random weights, as ONNX graphs in its own layout.

Built from DeepFace's own PyTorch classes, from which its published graphs were exported too. For
timing only: what they say of a face is chance.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import compose, helper, numpy_helper

from models.faces.weights import RETINAFACE_FILE, weights_folder
from models.tiny.deepface import pytorch_models
from models.tiny.onnx_pieces import IR_VERSION, OPSET
from models.tiny.retinaface import retinaface_graph
from models.tiny.weights import seeded

_SIDES_PX = {"arcface_weights": 112}
# Of random scores in those of the tiny detector, which finds portraits: none of them is changed.
_SHARE = 1e-9


class _ChannelsLast(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, shown: torch.Tensor) -> Any:
        """DeepFace's graphs take (n, height, width, 3)."""
        return self.model(shown.permute(0, 3, 1, 2))


def write_full_size(folder: Path) -> None:
    """Write the five graphs, 1.9 GB, into a folder that can then be DEEPFACE_HOME."""
    weights = weights_folder(folder)
    weights.mkdir(parents=True)
    for seed, (file, build) in enumerate(pytorch_models().items()):
        path = weights / f"{file}.onnx"
        with seeded(seed):
            model = build().eval()
        if file == RETINAFACE_FILE:
            _export(model, path, 256, [f"out{n}" for n in range(9)], ("n", "h", "w"))
            onnx.save(_with_faces(onnx.load(path)), path)
        else:
            _export(_ChannelsLast(model), path, _SIDES_PX.get(file, 224), ["out"], ("n",))


def _export(model: Any, path: Path, side: int, outputs: list[str], free: tuple[str, ...]) -> None:
    with warnings.catch_warnings():
        # The newer exporter would take minutes for the same graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(1, side, side, 3),),
            str(path),
            input_names=["data"],
            output_names=outputs,
            dynamic_axes={name: dict(enumerate(free)) for name in ["data", *outputs]},
            dynamo=False,
        )


def _with_faces(full: Any) -> Any:
    """The whole network is computed, but the tiny one decides where a face is."""
    tiny = compose.add_prefix(retinaface_graph(), "tiny_")
    full = compose.add_prefix(full, "full_")
    nodes, constants = [], [numpy_helper.from_array(np.array(_SHARE, np.float32), "share")]
    outputs = []
    for theirs, ours in zip(full.graph.output, tiny.graph.output, strict=True):
        nodes.append(helper.make_node("Mul", [theirs.name, "share"], [f"{theirs.name}_little"]))
        made = f"{ours.name}_found"
        nodes.append(helper.make_node("Add", [ours.name, f"{theirs.name}_little"], [made]))
        channels = ours.type.tensor_type.shape.dim[3].dim_value
        outputs.append(
            helper.make_tensor_value_info(made, onnx.TensorProto.FLOAT, ["n", None, None, channels])
        )
    given = helper.make_tensor_value_info("data", onnx.TensorProto.FLOAT, ["n", "h", "w", 3])
    entry = [helper.make_node("Identity", ["data"], [f"{kind}_data"]) for kind in ("tiny", "full")]
    graph = helper.make_graph(
        [*entry, *tiny.graph.node, *full.graph.node, *nodes],
        "full-size-retinaface",
        [given],
        outputs,
        [*tiny.graph.initializer, *full.graph.initializer, *constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model
