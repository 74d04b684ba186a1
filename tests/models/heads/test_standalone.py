"""head.py runs where there is no Relume: an empty folder, torch, numpy, safetensors, Pillow."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.heads.build import build_network
from models.heads.head import Head
from models.heads.standalone import standalone_module
from schemas.head import NetworkSettings, ResnetSettings, UnetSettings

# Each with what its libraries import of others.
LIBRARIES = {
    "torch": ("typing_extensions", "sympy", "mpmath", "networkx", "jinja2", "markupsafe"),
    "numpy": ("filelock", "fsspec", "torchgen", "functorch"),
    "safetensors": (),
    "PIL": (),
}
KINDS: dict[str, NetworkSettings] = {
    "cyclegan": ResnetSettings(width=8, num_blocks=2),
    "esa": ResnetSettings(
        width=8, num_blocks=1, attention="esa", attention_at="block", upsampling="resize"
    ),
    "cbam": ResnetSettings(
        width=8, halvings=0, num_blocks=1, attention="cbam", detail_gain=4.0, residual_output=True
    ),
    "unet": UnetSettings(width=8, levels=3),
}


def head_of(kind: NetworkSettings) -> Head:
    network = build_network(kind, seed=0)
    chance = torch.Generator().manual_seed(1)
    torch.nn.init.normal_(network.last.weight, std=0.05, generator=chance)
    return Head(network, kind)


def picture() -> Image.Image:
    chance = np.random.default_rng(0)
    return Image.fromarray(chance.integers(0, 256, (67, 81, 4), dtype=np.uint8))


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with these libraries alone, for a Python that sees no other."""
    folder = tmp_path_factory.mktemp("libraries")
    for name in (*LIBRARIES, *(one for many in LIBRARIES.values() for one in many)):
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        path = Path(found.origin)
        path = path.parent if path.name == "__init__.py" else path
        (folder / path.name).symlink_to(path)
        for beside in (f"{name}.libs", f"{name.replace('PIL', 'pillow')}.libs"):
            if (path.parent / beside).is_dir() and not (folder / beside).exists():
                (folder / beside).symlink_to(path.parent / beside)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_without_relume(kind: str, libraries: Path, tmp_path: Path) -> None:
    head = head_of(KINDS[kind])
    head.save(tmp_path / "head")
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("head.py", "config.json", "model.safetensors"):
        shutil.copy(tmp_path / "head" / name, alone / name)
    picture().save(alone / "given.png")

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            # Neither the site's packages nor this checkout.
            [sys.executable, "-S", "-W", "error", "head.py", *words],
            cwd=alone,
            env={"PYTHONPATH": str(libraries), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    assert run("given.png", "made.png") == (0, "")
    assert run("given.png", "given.png") == (1, "given.png: is there already; name another file\n")
    (alone / "damaged.png").write_bytes(b"no picture")
    code, told = run("damaged.png", "other.png")
    assert (code, told.count("\n")) == (1, 1)
    assert "damaged.png" in told
    made, ours = np.asarray(Image.open(alone / "made.png")), np.asarray(head(picture()))
    assert made.shape == (67, 81, 4)
    assert np.array_equal(made[..., 3], np.asarray(picture())[..., 3])
    assert np.abs(made.astype(int) - ours).max() <= 1


def test_other_weights_and_formats_are_refused(tmp_path: Path) -> None:
    head_of(KINDS["unet"]).save(tmp_path)
    spec = importlib.util.spec_from_file_location("a_head", tmp_path / "head.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    levels = np.asarray(picture())[..., :3].copy()
    assert module.Head()(levels).shape == (67, 81, 3)
    (tmp_path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"is not the file that config\.json is of"):
        module.Head()
    (tmp_path / "config.json").write_text('{"format": "relume-head", "version": 2}')
    with pytest.raises(ValueError, match=r"needs the head\.py beside it"):
        module.Head(tmp_path)


def test_no_name_stands_twice() -> None:
    """Parts that are put together may not hide each other's names."""
    tree = ast.parse(standalone_module())
    named = [
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ] + [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert [name for name, count in Counter(named).items() if count > 1] == []
    assert "models" not in {one.split(".")[0] for one in _imported(tree)}


def _imported(tree: ast.Module) -> set[str]:
    return {
        name
        for node in tree.body
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
