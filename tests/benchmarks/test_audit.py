"""The benchmark of the audit: its road in miniature."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_road_in_miniature(tmp_path: Path) -> None:
    """In a process of its own, which settles DeepFace's engine; it may miss its targets."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.audit", "--tiny", "--count", "2", "--runs", "1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    told = done.stdout
    assert "retinaface: 2 faces in 2 pictures" in told
    for line in ("relume: ", "DeepFace.analyze + represent: ", "2 workers of one thread: "):
        assert f"\n{line}" in told
    assert not (tmp_path / ".deepface").exists()
