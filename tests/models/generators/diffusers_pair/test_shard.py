"""A shard of tiny pairs through the real task: the published bytes, and what never is published."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from schemas.config import DatasetConfig
from schemas.lease import Lease, StagedShard
from shards.plan import make_plan, planned_samples
from tasks.generate_shard import GenerateConfig, GenerateShard
from tasks.making import making_of

Pair = Callable[..., DatasetConfig]
PAIRS = {"stages": ["source", "target"], "count": 6, "shard_size": 6}


def shard(config: DatasetConfig, dataset: Path) -> tuple[StagedShard, GenerateShard, Lease]:
    name, samples = next(planned_samples(make_plan(config, None)))
    worker = GenerateShard(GenerateConfig(str(dataset), config, making_of(config, "0" * 64)))
    worker.setup()
    lease = Lease(shard=name, attempt=1, samples=samples)
    dataset.mkdir()
    return worker.run(lease, nullcontext()), worker, lease


def test_a_shard_of_pairs(pair: Pair, tmp_path: Path) -> None:
    config = pair(dataset=PAIRS)
    staged, worker, lease = shard(config, tmp_path / "one")
    again, _, _ = shard(config, tmp_path / "two")
    assert staged.done == again.done
    assert staged.done.ok == staged.done.planned == len(lease.samples) == 6

    with tarfile.open(Path(staged.folder) / "tar") as tar:
        pictures = {
            member.name: np.asarray(Image.open(io.BytesIO(tar.extractfile(member).read())))  # type: ignore[union-attr]
            for member in tar
            if member.name.endswith(".png")
        }
    assert len(pictures) == 12
    # A later phase that knows nothing but the published sources makes the same targets.
    batch = lease.samples[:4]
    sources = np.stack([pictures[f"{sample.id}.source.png"] for sample in batch])
    targets = worker.generator.make(batch, {"source": sources})["target"]  # type: ignore[call-arg]
    for sample, target in zip(batch, targets, strict=True):
        assert np.array_equal(target, pictures[f"{sample.id}.target.png"])


@pytest.mark.parametrize(
    ("kind", "file", "tensor", "reason"),
    [
        (
            "flux-schnell",
            "transformer/diffusion_pytorch_model.safetensors",
            "proj_out.bias",
            "not a number",
        ),
        ("sd15", "safety_checker/model.safetensors", "concept_embeds_weights", "black"),
    ],
)
def test_what_is_no_picture_is_a_failed_row(
    kind: str, file: str, tensor: str, reason: str, tiny: Path, tmp_path: Path, pair: Pair
) -> None:
    """Weights that give no numbers, and a safety checker that objects to everything."""
    model = Path(shutil.copytree(tiny / kind, tmp_path / "model"))
    tensors = load_file(model / file)
    tensors[tensor][:] = torch.nan if reason == "not a number" else -2
    save_file(tensors, model / file, {"format": "pt"})
    family = "sd15" if kind == "sd15" else "flux"
    config = pair(family, source={"model": str(model)}, dataset=PAIRS)
    staged, _, _ = shard(config, tmp_path / "dataset")
    assert (staged.done.ok, staged.done.failed) == (0, 6)
    assert staged.failures == {f"source is {reason}": 6}
