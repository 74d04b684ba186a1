"""What is drawn on a terminal and what is said in a log."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from workflows import console as console_module
from workflows.console import Console, duration, significant, size


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1536, "1.54 kB"),
        (4.62e9, "4.62 GB"),
        (2.5e12, "2.5 TB"),
        (999.6, "1 kB"),
        (999_499, "999 kB"),
        (999_600, "1 MB"),
        (999_999_999, "1 GB"),
        (9e15, "9,000 TB"),
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


def test_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table(("picture", "score"), [("two\nlines.png", 1), ("b.png", 2)])
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.split() == [r"two\nlines.png", "1"]
    assert second.split() == ["b.png", "2"]


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


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.4024, "0.402"), (51.94, "51.9"), (999.4, "999"), (999.6, "1,000"), (3381.2, "3,381")],
)
def test_three_digits_without_an_exponent(number: float, text: str) -> None:
    assert significant(number) == text


HOSTILE = "\x1b[31mred\x1b]0;title\x07 \x9b2J \x7f back\x08space\rover"


def test_a_terminal_obeys_no_stranger(capsys: pytest.CaptureFixture[str]) -> None:
    """Prompts, paths and reasons come out of datasets that anybody may have made."""
    console = Console()
    for say in (console.result, console.heading, console.note, console.warn, console.error):
        say(HOSTILE)
    console.facts({"label": HOSTILE})
    console.table(("id", "prompt"), [(HOSTILE, HOSTILE)])
    said = capsys.readouterr()
    whole = said.out + said.err
    assert not [c for c in whole if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160]
    # Eight times, of which the table may break the last two across lines.
    assert whole.count(r"\u001b[31mred") >= 6
    assert r"back\u0008space\u000dover" in whole


def test_json_stays_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    told = {"prompt": HOSTILE + " [red]é[/red]\t\n"}
    for ensure_ascii in (True, False):
        Console().result(json.dumps(told, ensure_ascii=ensure_ascii))
        assert json.loads(capsys.readouterr().out) == told


def test_a_log_without_an_end_and_one_that_stands_still(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(console_module.time, "monotonic", lambda: now)
    with Console().progress("reading", "rows") as advance:
        now = 59.0
        advance(5)
        now = 60.0
        advance(60)
        now = 120.0
        advance(60, 120)
    with Console().progress("making", "samples", 10) as advance:
        now = 180.0
        advance(0)
    assert capsys.readouterr().err.splitlines() == [
        "reading: 60 rows, 1.0 a second",
        "reading: 60 rows, 0.5 a second, of 120, 2 min 0 s left",
        "making: 0 samples, 0.0 a second, of 10, unknown left",
    ]
