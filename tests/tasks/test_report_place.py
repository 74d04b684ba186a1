"""A report takes its place file by file, and what only an older one had is removed."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.report_place import staged_report


def write(folder: Path, **files: str) -> None:
    (folder / "figures").mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_png", ".png").replace("_json", ".json")
        path.write_text(text)


def names(folder: Path) -> set[str]:
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}


def test_older_figures_go_and_strangers_stay(tmp_path: Path) -> None:
    with staged_report(tmp_path) as staged:
        write(staged, report_json="1", figures__a_png="a", figures__b_png="b")
        assert names(tmp_path) == {str(p.relative_to(tmp_path)) for p in staged.rglob("*.*")}
    (tmp_path / "figures" / "notes.txt").write_text("mine")
    with staged_report(tmp_path) as staged:
        write(staged, report_json="2", figures__b_png="B")
    assert names(tmp_path) == {"report.json", "figures/b.png", "figures/notes.txt"}
    assert (tmp_path / "report.json").read_text() == "2"


def test_one_that_fails_changes_nothing(tmp_path: Path) -> None:
    with staged_report(tmp_path) as staged:
        write(staged, report_json="1", figures__a_png="a")
    full = staged_report(tmp_path)
    write(full.__enter__(), report_json="2")
    assert full.__exit__(OSError, OSError("full"), None) is False
    assert names(tmp_path) == {"report.json", "figures/a.png"}
    assert (tmp_path / "report.json").read_text() == "1"


def test_what_a_killed_one_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    left = tmp_path / ".staging" / "report-left"
    write_into = left / "figures"
    write_into.mkdir(parents=True)
    with staged_report(tmp_path):
        assert left.exists()
    os.utime(left, (0, 0))
    with staged_report(tmp_path):
        assert not left.exists()
