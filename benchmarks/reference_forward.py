"""The reference CycleGAN's own generator, forward, in a process of its own.

python benchmarks/reference_forward.py FOLDER WORK SIZE_PX

FOLDER is a copy of the reference implementation, whose `models` would meet ours in one process; so
this program knows nothing of Relume. It writes its first weights and a picture with what becomes of
it to WORK, says so, and then goes forward once for every line that it is sent.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: Path, work: Path, size_px: int) -> None:
    """Serve until the input ends."""
    sys.path.insert(0, str(folder))
    import torch

    from models import networks as reference  # type: ignore[attr-defined]

    torch.manual_seed(0)
    network = reference.define_G(3, 3, 64, "resnet_9blocks", "instance", False).eval()
    chance = torch.Generator().manual_seed(1)
    picture = torch.rand(1, 3, size_px, size_px, generator=chance) * 2 - 1
    with torch.inference_mode():
        torch.save(network.state_dict(), work / "latest_net_G.pth")
        torch.save({"picture": picture, "made": network(picture)}, work / "made.pth")
        print("ready", flush=True)
        for _ in sys.stdin:
            network(picture)
            print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
