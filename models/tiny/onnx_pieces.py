"""The pieces that tiny ONNX graphs are put together from.

Writing them needs the package onnx, of the development tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

OPSET = 17
# Newer packages write a version that older engines refuse.
IR_VERSION = 8


def node(kind: str, given: list[str], made: list[str], **attributes: Any) -> Any:
    """An operation on values by their names."""
    from onnx import helper

    return helper.make_node(kind, given, made, **attributes)


def value(name: str, shape: Sequence[str | int]) -> Any:
    """An input or output; a word in its shape stands for any length."""
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def constant(name: str, numbers: Any) -> Any:
    """Weights, in single precision."""
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(numbers, np.float32), name)


def onnx_model(graph: Any) -> Any:
    """A whole model, checked."""
    from onnx import checker, helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    checker.check_model(model, full_check=True)
    return model
