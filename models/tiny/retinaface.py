"""A tiny RetinaFace graph, which finds lit squares that are warm in the middle, and no faces.

It tests the instrument: DeepFace's real code around it, and what is made of its findings.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from models.tiny.onnx_pieces import constant, node, onnx_model, value

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
        node("Transpose", ["data"], ["channels"], perm=[0, 3, 1, 2]),
        node(
            "AveragePool",
            ["channels"],
            ["cells"],
            kernel_shape=[_CELL, _CELL],
            strides=[_CELL, _CELL],
            ceil_mode=1,
        ),
        node("ReduceMax", ["cells"], ["brightest"], axes=[1], keepdims=1),
        # Suits and hair are dark, but not black; what a resized edge leaks is darker than they are.
        node("Sub", ["brightest", "leak"], ["over_leak"]),
        node("Mul", ["over_leak", "half"], ["brightness"]),
        node("Clip", ["brightness", "zero", "one"], ["lit"]),
        node("Conv", ["cells", "red_less_blue"], ["warmer"]),
        node("Relu", ["warmer"], ["warm"]),
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
            outputs.append(value(f"{kind}{stride}", ["n", f"h{stride}", f"w{stride}", channels]))
    graph = helper.make_graph(
        nodes,
        "tiny-retinaface",
        [value("data", ["n", "h", "w", 3])],
        outputs,
        [constant(name, numbers) for name, numbers in constants.items()],
    )
    return onnx_model(graph)


def _head(stride: int, side: float, centre: float) -> tuple[list[Any], dict[str, Any]]:
    """One stride's scores, boxes and landmarks; what is found is in its first anchor."""
    square = _SQUARES_PX[stride]
    names = {name: f"{name}{stride}" for name in ("inside", "around", "middle")}
    widths = {"inside": square, "around": 2 * square, "middle": square // 4}
    of = {"inside": "lit", "around": "lit", "middle": "warm"}
    nodes = [_mean_around(of[n], names[n], widths[n] // _CELL, stride // _CELL) for n in of]
    constants = _geometry(stride, side, centre)
    inside, around, middle = names["inside"], names["around"], names["middle"]
    nodes += [
        node("Sub", [inside, f"dark{stride}"], [f"inside_over{stride}"]),
        node("Min", [f"inside_over{stride}", "zero"], [f"unlit{stride}"]),
        node("Sub", [around, f"light{stride}"], [f"around_over{stride}"]),
        node("Relu", [f"around_over{stride}"], [f"too_wide{stride}"]),
        node("Concat", [middle, f"unlit{stride}", f"too_wide{stride}"], [f"told{stride}"], axis=1),
        node(
            "Conv",
            [f"told{stride}", f"logit_weight{stride}", f"logit_bias{stride}"],
            [f"logit{stride}"],
        ),
        node("Sigmoid", [f"logit{stride}"], [f"score{stride}"]),
    ]
    for kind, given in (("prob", f"score{stride}"), ("box", f"score{stride}"), ("points", middle)):
        made = f"{kind}_channels{stride}"
        weights = [f"{kind}_weight{stride}", f"{kind}_bias{stride}"]
        nodes.append(node("Conv", [given, *weights], [made]))
        nodes.append(node("Transpose", [made], [f"{kind}{stride}"], perm=[0, 2, 3, 1]))
    return nodes, constants


def _geometry(stride: int, side: float, centre: float) -> dict[str, Any]:
    """What decides, and where boxes and landmarks then lie."""
    square = _SQUARES_PX[stride]
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
    return {
        # Warm: red surpasses blue by more than 3 % of 255. Not lit inside, or lit around: never.
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


def _mean_around(given: str, made: str, cells: int, step: int) -> Any:
    """The mean of a square of cells around every step-th cell's upper left corner."""
    before, after = cells // 2, cells // 2 - 1
    return node(
        "AveragePool",
        [given],
        [made],
        kernel_shape=[cells, cells],
        strides=[step, step],
        pads=[before, before, after, after],
        count_include_pad=1,
    )
