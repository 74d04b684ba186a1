"""DeepFace's models in miniature, in its own layout: .deepface/weights and the real names.

The ONNX graphs have the inputs and outputs of the real ones. Those of attributes and identity are
random. RetinaFace's finds what `retinaface_graph` says, and no faces: it tests the instrument. The
PyTorch files have the real shapes, which DeepFace fixes, but hold the same few numbers many times
over, and so take a few hundred kB.

Writing ONNX graphs needs the package onnx, of the development tools.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from models.faces.weights import ATTRIBUTE_FILES, EMBEDDING_FILE, RETINAFACE_FILE, weights_folder
from models.tiny.weights import seeded

_OPSET = 17
CLASSES = {"Age": 101, "Gender": 2, "Race": 6}
IDENTITY = 512
# Pixels in which RetinaFace's graph looks at a picture first.
_CELL = 8
# Stride, and side and centre of its larger anchor, as in retinaface's source.
_ANCHORS = ((32, 512.0, 7.5), (16, 128.0, 7.5), (8, 32.0, 7.5))
# Of scores, boxes and landmarks, two anchors together.
_CHANNELS = {"prob": 4, "box": 8, "points": 20}
# Side of the lit square that each stride looks for.
_SQUARES_PX = {32: 512, 16: 256, 8: 128}
# Where a procedural portrait has its face: centre and size as shares of the portrait's side.
_FACE = (0.49, 0.47, 0.40, 0.48)
# Right eye, left eye, nose, right and left corner of the mouth; right is the person's right.
_LANDMARKS = ((0.41, 0.42), (0.56, 0.42), (0.485, 0.5), (0.43, 0.59), (0.54, 0.59))
# How far the left eye sinks with the warmth of the face, so that faces are to be turned upright.
_TILT = 0.4
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
    """Write PyTorch weights of the real shapes into a new folder, in a few hundred kB."""
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


def retinaface_graph() -> Any:
    """A detector of lit squares that are warm in the middle, such as a procedural portrait.

    It finds any square picture on black, whatever its pixels, whose mean red surpasses its mean
    blue around the middle. RetinaFace scales what it sees to 1024 px, so at DeepFace's scale this
    is one whole picture, at any size in px; and, inside a larger black picture, squares of a half
    or a quarter of that, set apart by as much black, and aligned to 8 px. Black, grey and blue
    pictures have none. The box lies where a procedural portrait has its face.
    """
    from onnx import helper

    nodes = [
        _node("Transpose", ["data"], ["channels"], perm=[0, 3, 1, 2]),
        _node(
            "AveragePool",
            ["channels"],
            ["cells"],
            kernel_shape=[_CELL, _CELL],
            strides=[_CELL, _CELL],
            ceil_mode=1,
        ),
        _node("ReduceMax", ["cells"], ["brightest"], axes=[1], keepdims=1),
        # Suits and hair are dark, but not black; what a resized edge leaks is darker than they are.
        _node("Sub", ["brightest", "leak"], ["over_leak"]),
        _node("Mul", ["over_leak", "half"], ["brightness"]),
        _node("Clip", ["brightness", "zero", "one"], ["lit"]),
        _node("Conv", ["cells", "red_less_blue"], ["warmer"]),
        _node("Relu", ["warmer"], ["warm"]),
    ]
    constants: dict[str, Any] = {
        "leak": 12.0,
        "half": 0.5,
        "zero": 0.0,
        "one": 1.0,
        "red_less_blue": np.reshape([1 / 255, 0, -1 / 255], (1, 3, 1, 1)),
    }
    outputs = []
    for stride, side, centre in _ANCHORS:
        more, given = _head(stride, side, centre)
        nodes, constants = [*nodes, *more], {**constants, **given}
        for kind, channels in _CHANNELS.items():
            outputs.append(_value(f"{kind}{stride}", ["n", f"h{stride}", f"w{stride}", channels]))
    graph = helper.make_graph(
        nodes,
        "tiny-retinaface",
        [_value("data", ["n", "h", "w", 3])],
        outputs,
        [_constant(name, value) for name, value in constants.items()],
    )
    return _model(graph)


def _head(stride: int, side: float, centre: float) -> tuple[list[Any], dict[str, Any]]:
    """One stride's scores, boxes and landmarks; what is found is in its first anchor."""
    square = _SQUARES_PX[stride]
    names = {name: f"{name}{stride}" for name in ("inside", "around", "middle")}
    widths = {"inside": square, "around": 2 * square, "middle": square // 4}
    of = {"inside": "lit", "around": "lit", "middle": "warm"}
    nodes = [_mean_around(of[n], names[n], widths[n] // _CELL, stride // _CELL) for n in of]
    offset_x, offset_y, width, height = _FACE
    # In the anchor's sides from its centre; a square's centre lies on the corner of a cell.
    box = (
        ((offset_x - 0.5) * square - centre) / side,
        ((offset_y - 0.5) * square - centre) / side,
        math.log(width * square / side),
        math.log(height * square / side),
    )
    points = [((c - 0.5) * square - centre) / side for at in _LANDMARKS for c in at]
    sinks = np.zeros((20, 1, 1, 1))
    sinks[3] = _TILT * square / side
    constants = {
        # Warm: at 0.03 of 255 it is one or the other. Not lit inside, or lit around: never.
        f"logit_weight{stride}": np.reshape([60.0, 2000.0, -2000.0], (1, 3, 1, 1)),
        f"logit_bias{stride}": np.array([-1.8]),
        f"dark{stride}": 0.98,
        f"light{stride}": 0.45,
        f"prob_weight{stride}": np.reshape([-1.0, 0.0, 1.0, 0.0], (4, 1, 1, 1)),
        f"prob_bias{stride}": np.array([1.0, 1.0, 0.0, 0.0]),
        f"box_weight{stride}": np.zeros((8, 1, 1, 1)),
        f"box_bias{stride}": np.array([*box, *box]),
        f"points_weight{stride}": sinks,
        f"points_bias{stride}": np.array([*points, *points]),
    }
    inside, around, middle = names["inside"], names["around"], names["middle"]
    nodes += [
        _node("Sub", [inside, f"dark{stride}"], [f"inside_over{stride}"]),
        _node("Min", [f"inside_over{stride}", "zero"], [f"unlit{stride}"]),
        _node("Sub", [around, f"light{stride}"], [f"around_over{stride}"]),
        _node("Relu", [f"around_over{stride}"], [f"too_wide{stride}"]),
        _node("Concat", [middle, f"unlit{stride}", f"too_wide{stride}"], [f"told{stride}"], axis=1),
        _node(
            "Conv",
            [f"told{stride}", f"logit_weight{stride}", f"logit_bias{stride}"],
            [f"logit{stride}"],
        ),
        _node("Sigmoid", [f"logit{stride}"], [f"score{stride}"]),
    ]
    for kind, given in (("prob", f"score{stride}"), ("box", f"score{stride}"), ("points", middle)):
        made = f"{kind}_channels{stride}"
        weights = [f"{kind}_weight{stride}", f"{kind}_bias{stride}"]
        nodes.append(_node("Conv", [given, *weights], [made]))
        nodes.append(_node("Transpose", [made], [f"{kind}{stride}"], perm=[0, 2, 3, 1]))
    return nodes, constants


def _mean_around(given: str, made: str, cells: int, step: int) -> Any:
    """The mean of a square of cells around every step-th cell's upper left corner."""
    before, after = cells // 2, cells // 2 - 1
    return _node(
        "AveragePool",
        [given],
        [made],
        kernel_shape=[cells, cells],
        strides=[step, step],
        pads=[before, before, after, after],
        count_include_pad=1,
    )


def _classifier(
    name: str, size_px: int, pool: int, classes: int, *, softmax: bool, seed: int
) -> Any:
    """A pooled picture through one random layer, strong enough that pictures differ."""
    from onnx import helper

    pooled = 3 * (size_px // pool) ** 2
    weights = np.random.default_rng(seed).normal(size=(pooled, classes)) * (6 / math.sqrt(pooled))
    nodes = [
        _node("Transpose", ["input"], ["channels"], perm=[0, 3, 1, 2]),
        _node(
            "AveragePool",
            ["channels"],
            ["cells"],
            kernel_shape=[pool, pool],
            strides=[pool, pool],
        ),
        _node("Flatten", ["cells"], ["flat"], axis=1),
        _node("MatMul", ["flat", "weights"], ["scores" if softmax else "output"]),
        *([_node("Softmax", ["scores"], ["output"], axis=1)] if softmax else []),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [_value("input", ["n", size_px, size_px, 3])],
        [_value("output", ["n", classes])],
        [_constant("weights", weights)],
    )
    return _model(graph)


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


def _node(kind: str, given: list[str], made: list[str], **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(kind, given, made, **attributes)


def _value(name: str, shape: Sequence[str | int]) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _constant(name: str, value: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(value, np.float32), name)


def _model(graph: Any) -> Any:
    from onnx import checker, helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
    # Newer packages write a version that older engines refuse.
    model.ir_version = 8
    checker.check_model(model, full_check=True)
    return model
