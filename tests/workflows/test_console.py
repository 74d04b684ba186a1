"""What is drawn on a terminal and what is said in a log."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from workflows import console as console_module
from workflows.console import Console, duration, size


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1536, "1.54 kB"),
        (4.62e9, "4.62 GB"),
        (2.5e12, "2.5 TB"),
        (9e15, "9e+03 TB"),
    ],
)
def test_sizes(num_bytes: float, text: str) -> None:
    assert size(num_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (18_600, "5 h 10 min"),
        (float("inf"), "unknown"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_results_and_the_rest_are_apart(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.heading("data [red]x[/red] :smile:")
    console.facts({"name": "[bold]B[/bold]"})
    console.table(("split", "count"), [("train", 3), ("[test]", 12)])
    console.note("a note")
    console.warn("look")
    said = capsys.readouterr()
    assert "data [red]x[/red] :smile:" in said.out
    assert "name  [bold]B[/bold]" in said.out
    assert "[test]     12" in said.out
    assert said.err == "a note\nwarning: look\n"


def test_long_lines_are_not_broken_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    Console().error("x" * 500)
    assert capsys.readouterr().err == f"error: {'x' * 500}\n"


def test_a_log_has_one_line_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(console_module.time, "monotonic", lambda: now)
    with Console().progress("making", "samples", 1000) as advance:
        for now in range(0, 181, 5):
            advance(now * 2)
    assert capsys.readouterr().err.splitlines() == [
        "making: 120 samples, 2.0 a second, of 1,000, 7 min 20 s left",
        "making: 240 samples, 2.0 a second, of 1,000, 6 min 20 s left",
        "making: 360 samples, 2.0 a second, of 1,000, 5 min 20 s left",
    ]


def test_a_terminal_has_a_bar() -> None:
    program = (
        "from workflows.console import Console\n"
        "with Console().progress('making', 'samples', 10) as advance:\n"
        "    for n in range(11): advance(n)\n"
    )
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", program],
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        check=True,
    )
    os.close(theirs)
    drawn = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "making" in drawn
    assert "10/10" in drawn
    assert "samples/s" in drawn
