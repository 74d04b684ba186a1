"""How an audit's report takes its place: file by file, each of them whole at every moment.

The last two of several parts may write the same report at once; then each replaces the files of the
other by equal ones.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from shards import filesystem

REPORT, TEXT, FIGURES = "report.json", "report.md", "figures"
_PREFIX = "report-"
# No report takes longer to draw.
_LEFT_BEHIND_S = 6 * 3600.0


@contextlib.contextmanager
def staged_report(folder: Path) -> Iterator[Path]:
    """A folder to write a report in; its files take their places when the block ends well.

    Figures that the new report does not have are removed then.
    """
    staging = folder / filesystem.STAGING
    filesystem.make_folder(staging)
    _remove_left_behind(staging)
    with tempfile.TemporaryDirectory(dir=staging, prefix=_PREFIX) as place:
        written = Path(place)
        yield written
        names = sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
        # What names the figures comes last.
        for name in sorted(names, key=lambda name: (len(name.parts) == 1, name)):
            filesystem.make_folder((folder / name).parent)
            (written / name).replace(folder / name)
    for path in (folder / FIGURES).glob("*"):
        if path.suffix in (".png", ".svg") and path.relative_to(folder) not in names:
            filesystem.remove_file(path)


def _remove_left_behind(staging: Path) -> None:
    """Clear up after killed processes."""
    for path in staging.glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _LEFT_BEHIND_S:
                shutil.rmtree(path, ignore_errors=True)
