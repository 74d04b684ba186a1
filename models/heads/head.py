"""A head at rest: a network, its settings and what it was trained on, in a folder or on the hub."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import save as save_tensors

from models.heads.blocks import HeadNetwork
from models.heads.build import build_network
from models.heads.card import card
from models.heads.enhancer import Enhancer, Picture
from models.heads.folder import (
    CARD,
    CONFIG,
    IDS,
    MODULE,
    ONNX,
    WEIGHTS,
    read_config,
    read_ids,
    read_weights,
    sha256,
    write_folder,
)
from models.heads.hub import find_head, push_folder
from models.heads.onnx_file import onnx_bytes
from models.heads.pictures import Shown, prepared, shown_as
from models.heads.standalone import standalone_module
from models.heads.tiles import OVERLAP_PX, TILE_PX, TiledEnhancer
from models.heads.training_ids import TrainingIds
from schemas.head import HeadConfig, NetworkSettings, Precision, TrainingFacts
from schemas.settings import as_plain


class Head:
    """A network that is not trained any more, ready to be applied, saved or pushed."""

    def __init__(
        self,
        network: HeadNetwork,
        settings: NetworkSettings,
        training: TrainingFacts | None = None,
        training_ids: TrainingIds | None = None,
    ) -> None:
        if (training is None) != (training_ids is None):
            raise ValueError("training: facts and ids belong together; give both or none")
        if training and training_ids and training.ids_sha256 != training_ids.sha256:
            raise ValueError(
                f"training.ids_sha256 = {training.ids_sha256!r}: the ids have "
                f"{training_ids.sha256!r}; give the facts of these ids"
            )
        # A copy: whoever trains the network may go on.
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.settings = settings
        self.training, self.training_ids = training, training_ids
        self._enhancers: dict[tuple[str, Precision], Enhancer] = {}
        self._tiled: dict[tuple[str, Precision, bool, int, int], TiledEnhancer] = {}

    @classmethod
    def from_pretrained(cls, place: str | Path, *, revision: str = "main") -> Head:
        """The head in this folder, or under this hub id in the hub's cache."""
        folder = Path(place)
        if not folder.is_dir():
            folder = find_head(str(place), revision)
        elif (folder / "run.json").exists() and (folder / "head").is_dir():
            raise ValueError(f"{folder}: is a training run; its head is {folder / 'head'}")
        config = read_config(folder)
        network = build_network(config.network, seed=0)
        _load(network, read_weights(folder, config), folder / WEIGHTS)
        training_ids = None if config.training is None else TrainingIds(read_ids(folder))
        try:
            head = cls(network, config.network, config.training, training_ids)
        except ValueError as error:
            raise ValueError(f"{folder / IDS}: {error}") from None
        # Another version of safetensors might write the same weights as other bytes.
        head.weights_sha256 = config.weights_sha256
        return head

    @cached_property
    def weights_sha256(self) -> str:
        """Of the weights as a file."""
        return sha256(self._weights())

    def enhancer(
        self,
        device: str = "cpu",
        precision: Precision = "float32",
        *,
        compiled: bool = False,
        tile_px: int = TILE_PX,
        overlap_px: int = OVERLAP_PX,
    ) -> TiledEnhancer:
        """What puts pictures of any size through it; made once for these settings."""
        key = (device, precision, compiled, tile_px, overlap_px)
        if key not in self._tiled:
            enhance = Enhancer(self.network, device, precision, compiled=compiled)
            self._tiled[key] = TiledEnhancer(enhance, tile_px, overlap_px)
        return self._tiled[key]

    def __call__(
        self, picture: Shown, *, device: str = "cpu", precision: Precision = "float32"
    ) -> Shown:
        """One picture enhanced: levels (height, width, 3), or a Pillow image, upright and in sRGB.

        An image keeps its alpha channel. Large pictures go through in tiles.
        """
        given = prepared(picture)
        (levels,) = self.enhancer(device, precision)([given.levels])
        return shown_as(picture, levels, given.alpha)

    def apply(
        self,
        pictures: Sequence[Picture],
        *,
        device: str = "cpu",
        precision: Precision = "float32",
        batch_size: int = 1,
    ) -> list[Picture]:
        """Each picture (height, width, 3) of levels 0..255 enhanced, at its own size."""
        key = (device, precision)
        if key not in self._enhancers:
            self._enhancers[key] = Enhancer(self.network, device, precision)
        return self._enhancers[key](pictures, batch_size)

    def overlap(self, ids: Iterable[str]) -> list[str]:
        """Which of these samples it was trained on."""
        if self.training_ids is None:
            raise ValueError(
                "training: unknown, as these weights came from elsewhere; "
                "no overlap can be ruled out"
            )
        return self.training_ids.overlap(ids)

    def save(self, folder: Path, *, onnx: bool = False) -> None:
        """Write the folder whole, in place of a head that may be there; also as an ONNX file."""
        weights = self._weights()
        config = HeadConfig(
            network=self.settings, training=self.training, weights_sha256=sha256(weights)
        )
        num_parameters = sum(one.numel() for one in self.network.parameters())
        files = {
            WEIGHTS: weights,
            CONFIG: json.dumps(as_plain(config), indent=2).encode() + b"\n",
            CARD: card(config, num_parameters).encode(),
            MODULE: standalone_module().encode(),
        }
        if self.training_ids is not None:
            files[IDS] = save_arrays({"hashes": self.training_ids.hashes})
        if onnx:
            files[ONNX] = onnx_bytes(self.network)
        write_folder(folder, files)

    def _weights(self) -> bytes:
        """model.safetensors."""
        return save_tensors(
            {name: one.contiguous().cpu() for name, one in self.network.state_dict().items()},
            # What Hugging Face's readers look for.
            metadata={"format": "pt"},
        )

    def push_to_hub(self, model: str, *, private: bool = True, revision: str | None = None) -> str:
        """Upload it to the hub under user/head; the address of the commit."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "head"
            self.save(folder)
            return push_folder(folder, model, private=private, revision=revision)


def _load(network: HeadNetwork, weights: dict[str, torch.Tensor], path: Path) -> None:
    wanted = network.state_dict()
    mend = "get the head again"
    for name in sorted(wanted.keys() | weights.keys()):
        if name not in weights:
            raise ValueError(f"{path}: {name!r} is missing; {mend}")
        if name not in wanted:
            raise ValueError(f"{path}: {name!r} belongs to no layer of its network; {mend}")
        have, want = (f"{one[name].dtype} {tuple(one[name].shape)}" for one in (weights, wanted))
        if have != want:
            raise ValueError(f"{path}: {name!r} is {have}, its network has {want}; {mend}")
    network.load_state_dict(weights)
