"""Steps of the reference CycleGAN's own networks, in a process of their own.

python benchmarks/reference_cyclegan.py FOLDER WORK SIZE_PX THREADS

FOLDER is a copy of the reference implementation, whose `models` would meet ours in one process; so
this program knows nothing of Relume but plain_cyclegan.py beside it. It writes the reference's
first weights to WORK and says so by a line. Then each line read has one step taken on seeded
pictures, and is answered by a line of JSON, as cyclegan_steps.py does.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path


def main(folder: Path, work: Path, size_px: int, threads: int) -> None:
    """Take the steps."""
    # Of this folder's program only; the reference's `models` has to be found before any other.
    sys.path[:0] = [str(folder), str(Path(__file__).parent)]
    import torch
    from plain_cyclegan import PlainCycleGan  # type: ignore[import-not-found]

    from models import networks as reference  # type: ignore[attr-defined]

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    made = {
        **{
            name: reference.define_G(3, 3, 64, "resnet_9blocks", "instance", False)
            for name in ("to_target", "to_source")
        },
        **{
            name: reference.define_D(3, 64, "basic", 3, "instance")
            for name in ("judge_target", "judge_source")
        },
    }
    for name, network in made.items():
        torch.save(network.state_dict(), work / f"{name}.pth")
    plain = PlainCycleGan(made, learning_rate=2e-4, lambda_cycle=10.0, lambda_identity=5.0)
    chance = torch.Generator().manual_seed(1)
    print("ready", flush=True)
    for _ in sys.stdin:
        source, target = torch.rand(2, 1, 3, size_px, size_px, generator=chance) * 2 - 1
        begun = time.perf_counter()
        losses = plain.step(source, target)
        seconds = time.perf_counter() - begun
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps({"losses": losses, "seconds": seconds, "peak_mb": peak_mb}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
