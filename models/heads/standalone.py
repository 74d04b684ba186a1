"""head.py: the networks and what applies them in one module, for whoever has no Relume.

Made out of the very sources that Relume runs, so the two cannot drift apart. Written beside the
weights with every head; Relume itself never runs one that it finds there.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

_PARTS = ("blocks", "attention", "resnet", "unet", "enhancer", "tiles")
_OURS = ("models", "schemas", "__future__")
_BEGIN = '''\
"""The head in this folder, without Relume: needs torch, numpy, safetensors and Pillow.

    python head.py PICTURE ENHANCED.png

    from head import Head
    enhanced = Head()(picture)  # a Pillow image, or numpy levels (height, width, 3)

Nothing is unpickled. Written by Relume, Apache-2.0; config.json names the network, README.md what
it learned from. Colour profiles are not looked at: give it sRGB.
"""

from __future__ import annotations
'''
_IMPORTS = """\
import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from PIL import Image, ImageOps
from safetensors.torch import load
"""
# What annotations name; config.json has been checked by whoever wrote it.
_NAMES = """\

Attention = Norm = Precision = Upsampling = str
ResnetSettings = UnetSettings = SimpleNamespace
"""
_END = '''
class DoesNotFit(RuntimeError):
    """The pictures are too large for this device."""


class Head:
    """The head in a folder, by default the one that this file lies in."""

    def __init__(self, folder=Path(__file__).parent, device="cpu", precision="float32"):
        config = json.loads((Path(folder) / "config.json").read_text())
        if (config.get("format"), config.get("version")) != ("relume-head", 1):
            raise ValueError(f"{folder}/config.json: needs the head.py beside it")
        weights = (Path(folder) / "model.safetensors").read_bytes()
        if hashlib.sha256(weights).hexdigest() != config["weights_sha256"]:
            raise ValueError(f"{folder}/model.safetensors: is not the file that config.json is of")
        settings = SimpleNamespace(**config["network"])
        # First weights are drawn and thrown away; nobody's chance is to change by that.
        with torch.random.fork_rng(devices=[]):
            self.network = {"resnet": Resnet, "unet": Unet}[settings.kind](settings)
        self.network.load_state_dict(load(weights))
        self._enhance = TiledEnhancer(Enhancer(self.network.eval(), device, precision))

    def __call__(self, picture):
        """The picture enhanced, at its own size; an image keeps its alpha channel."""
        if not isinstance(picture, Image.Image):
            return self._enhance([picture])[0]
        upright = ImageOps.exif_transpose(picture)
        levels = self._enhance([np.array(upright.convert("RGB"))])[0]
        if upright.has_transparency_data:
            levels = np.dstack([levels, np.array(upright.convert("RGBA").getchannel("A"))])
        return Image.fromarray(levels)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python head.py PICTURE ENHANCED.png")
    given, made = map(Path, sys.argv[1:])
    if made.exists():
        sys.exit(f"{made}: is there already; name another file")
    try:
        with Image.open(given) as picture:
            if getattr(picture, "is_animated", False):
                sys.exit(f"{given}: is animated; give it one picture")
            Head()(picture).save(made)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
'''


@cache
def standalone_module() -> str:
    """The text of head.py."""
    imports = [*ast.parse(_IMPORTS).body]
    bodies = []
    for part in _PARTS:
        source = (Path(__file__).parent / f"{part}.py").read_text()
        lines = source.splitlines()
        docstring, *rest = ast.parse(source).body
        found = [node for node in rest if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in [docstring, *found]:
            assert node.end_lineno is not None
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
        imports += [node for node in found if not _is_ours(node)]
        bodies.append("\n".join(lines).strip("\n"))
    return "\n".join([_BEGIN, *_merged(imports), _NAMES, *(f"\n{one}\n" for one in bodies)]) + _END


def _is_ours(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _OURS


def _merged(imports: list[ast.stmt]) -> list[str]:
    """One line for each module."""
    plain, names = set(), defaultdict[str, set[str]](set)
    for node in imports:
        if isinstance(node, ast.ImportFrom):
            names[node.module or ""] |= {one.name for one in node.names}
        else:
            plain.add(ast.unparse(node))
    return sorted(plain) + [
        f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)
    ]
