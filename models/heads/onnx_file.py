"""model.onnx: a head for any program that runs ONNX, of any height, width and batch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from models.heads.blocks import HeadNetwork
from schemas.endings import CannotGoOn

PARITY = 1e-3
INPUT, OUTPUT = "pictures", "enhanced"
_MOST_PX = 16_384
_MODULES = "onnx, onnxscript and onnxruntime"


class AnySize(nn.Module):
    """A network with the mirroring to multiples inside, for pictures (N, 3, H, W) in -1..1."""

    def __init__(self, network: HeadNetwork) -> None:
        super().__init__()
        self.network, self._divisor = network, network.divisor

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures of the same size, float32."""
        height, width = pictures.shape[-2:]
        rows, columns = (_mirrored(side, self._divisor) for side in (height, width))
        whole = pictures.index_select(2, rows).index_select(3, columns)
        made: Tensor = self.network(whole)
        return made[:, :, :height, :width]


def onnx_bytes(network: HeadNetwork) -> bytes:
    """The file; CannotGoOn where onnxruntime finds other pictures than torch by more than 1e-3."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # type: ignore[import-untyped]  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"an ONNX file needs {_MODULES}, and {error.name} is not here; "
            "install it from requirements.lock"
        ) from None
    module = AnySize(network).eval()
    least = max(2 * network.divisor, network.min_side_px)
    sides = {
        2 + place: torch.export.Dim(name, min=network.min_side_px, max=_MOST_PX)
        for place, name in enumerate(("height", "width"))
    }
    dynamic = {0: torch.export.Dim("batch", min=1, max=4096), **sides}
    with _quiet(), torch.no_grad():
        # No multiples of anything, so that nothing is taken for one.
        example = torch.zeros(2, 3, least + 3, least + 5)
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=(dynamic,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    assert program is not None
    data: bytes = program.model_proto.SerializeToString()
    apart = difference(module, data, [(1, least, least), (2, least + 1, 2 * least + 3)])
    if apart > PARITY:
        raise CannotGoOn(f"the ONNX file differs by {apart:.1e} of -1..1, more than {PARITY}")
    return data


@torch.no_grad()
def difference(module: nn.Module, data: bytes, shapes: list[tuple[int, int, int]]) -> float:
    """The most that onnxruntime and torch are apart on noise of these (batch, height, width)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    chance = np.random.default_rng(0)
    apart = 0.0
    for batch, height, width in shapes:
        noise = chance.uniform(-1, 1, (batch, 3, height, width)).astype(np.float32)
        (found,) = session.run([OUTPUT], {INPUT: noise})
        apart = max(apart, float(np.abs(found - module(torch.from_numpy(noise)).numpy()).max()))
    return apart


def _mirrored(side: int, divisor: int) -> Tensor:
    """Which rows a side of the next multiple shows: its own, then the last ones backwards."""
    places = torch.arange((side + divisor - 1) // divisor * divisor)
    return torch.where(places < side, places, 2 * side - 1 - places)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter tells of torchvision and of its own libraries off the terminal."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
