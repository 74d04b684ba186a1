"""Tiny checkpoints: the same bytes every time, whole or not there, small."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from models.tiny import write as module
from models.tiny.write import KINDS, write


def sums(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_bytes_wherever_they_are_written(tiny: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    for kind in KINDS:
        assert sums(write(kind, tmp_path / kind)) == sums(tiny / kind)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn), "others' randomness was disturbed"


def test_schnell_and_dev_share_all_but_the_transformer(tiny: Path) -> None:
    schnell, dev = sums(tiny / "flux-schnell"), sums(tiny / "flux-dev")
    assert {name for name in dev if schnell[name] != dev[name]} == {
        "scheduler/scheduler_config.json",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors",
    }
    for kind, wanted in (("flux-schnell", False), ("flux-dev", True)):
        config = json.loads((tiny / kind / "transformer" / "config.json").read_text())
        assert config["guidance_embeds"] is wanted


def test_they_are_small_and_in_the_published_layout(tiny: Path) -> None:
    for kind in KINDS:
        files = [path for path in (tiny / kind).rglob("*") if path.is_file()]
        # DeepFace fixes the shapes of its five PyTorch models, so they have many tensors.
        # The widths of a scorer's MLP are fixed too.
        larger = {"deepface-pytorch": 5_000_000, "facescore": 2_800_000, "imagereward": 2_800_000}
        larger["hps"] = 2_600_000  # its heads have fixed widths
        most = larger.get(kind, 1_300_000)
        assert sum(path.stat().st_size for path in files) < most, kind
        assert not [path for path in files if path.suffix == ".bin"], kind
        if kind.startswith("deepface"):
            assert {path.parent for path in files} == {tiny / kind / ".deepface" / "weights"}
        elif kind in ("facescore", "imagereward", "hps"):
            wanted = {
                "facescore": {"FS_model.pt", "med_config.json"},
                "imagereward": {"ImageReward.pt", "med_config.json", "vocab.txt"},
                "hps": {"HPS_v2.1_compressed.pt", "vocab.json", "merges.txt"},
            }
            assert {path.name for path in files} == wanted[kind]
        elif kind not in ("flux-lora", "lpips", "inception", "dino", "dinov2", "clip", "llava"):
            assert (tiny / kind / "model_index.json").exists()
            assert (tiny / kind / "tokenizer" / "merges.txt").exists()


def test_two_may_write_at_once_and_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(folder: Path) -> None:
        folder.mkdir()
        (folder / "a").write_text("a")

    def failing(folder: Path) -> None:
        folder.mkdir()
        raise OSError("full")

    monkeypatch.setattr(module, "KINDS", {"slow": slow, "failing": failing})
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: write("slow", tmp_path / "one"), range(8)))
    assert set(made) == {tmp_path / "one"}
    with pytest.raises(OSError, match="full"):
        write("failing", tmp_path / "two")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one"]


def test_an_unknown_kind() -> None:
    with pytest.raises(ValueError, match="did you mean 'flux-dev'"):
        write("flux-deb", Path("nowhere"))
