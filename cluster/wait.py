"""Waits until all nodes of a job have joined its Ray cluster.

`python -m cluster.wait ADDRESS SECONDS NODE...` ends with 0 when all are there, and with 1, naming
those that are not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import ray

from cluster.connect import connected

_POLL_S = 0.5


def missing_nodes(address: str, nodes: Sequence[str], patience_s: float) -> list[str]:
    """Nodes that have not joined in so many seconds."""
    limit = time.monotonic() + patience_s
    with connected(address):
        while True:
            listed = ray.nodes()  # type: ignore[no-untyped-call]
            there = {one["NodeManagerHostname"] for one in listed if one["Alive"]}
            # A site may say node1 where the host calls itself node1.cluster.
            known = {name.partition(".")[0] for name in there}
            missing = [one for one in nodes if one.partition(".")[0] not in known]
            if not missing or time.monotonic() > limit:
                return missing
            time.sleep(_POLL_S)


def main(argv: Sequence[str]) -> int:
    """Called by batch scripts."""
    address, seconds, *nodes = argv
    missing = missing_nodes(address, nodes, float(seconds))
    if missing:
        print(
            f"error: after {seconds} s Ray is not up on {', '.join(missing)}; see above",
            file=sys.stderr,
        )
        return 1
    print(f"Ray is up on {len(nodes)} nodes at {address}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
