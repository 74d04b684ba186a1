"""Everything that a person sees. Results go to stdout, the rest to stderr; no other module draws.

On a terminal long work shows a bar with rate and time left; in a log it says one line a minute.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import rich.console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

LOG_WIDTH = 120
LOG_INTERVAL_S = 60.0
# All but tabulator and line feed.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Advance(Protocol):
    """Told by the work how far it is."""

    def __call__(self, done: float, total: float | None = None, also: str = "") -> None:
        """Set how much is done, how much there is once that is known, and a word on the work."""
        ...


class Console:
    """The two streams of a verb."""

    def __init__(self) -> None:
        self._out = _stream(stderr=False)
        self._err = _stream(stderr=True)

    def result(self, text: str = "") -> None:
        """One line of the result."""
        self._out.print(_plain(text))

    def heading(self, text: str) -> None:
        """A line that begins a part of the result."""
        self._out.print(_plain(text, "bold"))

    def note(self, text: str) -> None:
        """Something worth knowing that is no result."""
        self._err.print(_plain(text, "dim"))

    def warn(self, text: str) -> None:
        """Something the user should look at, although the work goes on."""
        self._err.print(Text("warning: ", style="yellow") + _plain(text))

    def error(self, text: str) -> None:
        """Why the work did not happen, and the mend."""
        self._err.print(Text("error: ", style="bold red") + _plain(text))

    def facts(self, facts: Mapping[str, object]) -> None:
        """Labels and values in two columns."""
        width = max(map(len, facts), default=0)
        for label, value in facts.items():
            self._out.print(_plain(f"  {label:<{width}}  ", "dim") + _plain(str(value)))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A small table; all columns but the first are numbers, set to the right."""
        drawn = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for number, column in enumerate(columns):
            drawn.add_column(column, justify="right" if number else "left", overflow="fold")
        for row in rows:
            # A name may have a line break, and would seem to be two rows.
            drawn.add_row(*(_plain(str(cell).replace("\n", "\\n")) for cell in row))
        self._out.print(drawn)

    @contextmanager
    def progress(self, what: str, unit: str, total: float | None = None) -> Iterator[Advance]:
        """Show how far some work is, while the block runs."""
        if self._err.is_terminal and total != 0:
            with _bar(self._err, what, unit, total or None) as advance:
                yield advance
        else:
            yield _LogLines(self._err, what, unit, total)


def _plain(text: str, style: str = "") -> Text:
    """Text that no terminal obeys: prompts and paths come from strangers.

    A control character becomes its JSON escape, so that JSON stays what it is.
    """
    return Text(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text), style=style)


class _Stream(rich.console.Console):
    """Leaves it to the verb's door what is done when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        raise


def _stream(*, stderr: bool) -> rich.console.Console:
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return _Stream(
        stderr=stderr,
        width=None if terminal else LOG_WIDTH,
        soft_wrap=True,
        highlight=False,
        markup=False,
        emoji=False,
    )


@contextmanager
def _bar(
    console: rich.console.Console, what: str, unit: str, total: float | None
) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[also]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total, rate="", also="")

        def advance(done: float, total: float | None = None, also: str = "") -> None:
            elapsed = progress.tasks[0].elapsed or 0.0
            rate = f"{done / elapsed:,.1f} {unit}/s" if elapsed else ""
            progress.update(task, completed=done, rate=rate, also=also)
            if total is not None:
                progress.update(task, total=total)

        yield advance


class _LogLines:
    def __init__(
        self, console: rich.console.Console, what: str, unit: str, total: float | None
    ) -> None:
        self._console, self._what, self._unit, self._total = console, what, unit, total
        self._begun = self._said = time.monotonic()

    def __call__(self, done: float, total: float | None = None, also: str = "") -> None:
        self._total = total if total is not None else self._total
        now = time.monotonic()
        if now - self._said < LOG_INTERVAL_S:
            return
        self._said = now
        rate = done / (now - self._begun)
        line = f"{self._what}: {done:,.0f} {self._unit}, {rate:,.1f} a second"
        if self._total:
            left_s = (self._total - done) / rate if rate else float("inf")
            line = f"{line}, of {self._total:,.0f}, {duration(left_s)} left"
        self._console.print(Text(f"{line}, {also}" if also else line))


def duration(seconds: float) -> str:
    """Seconds as a person says them: 12 s, 3 min 20 s, 5 h 10 min."""
    if seconds == float("inf"):
        return "unknown"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    if hours:
        return f"{hours} h {rest_min} min"
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"


def size(num_bytes: float) -> str:
    """Bytes as a person says them: 512 B, 1.5 kB, 120 GB, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 999.5:  # what would be rounded to 1000 is said in the next unit
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{significant(num_bytes)} TB"


def counted(number: int, what: str) -> str:
    """A number of things: 1 shard, 2,188 shards."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def significant(number: float) -> str:
    """Three significant digits without an exponent: 0.402, 51.9, 3,380."""
    return f"{number:.3g}" if number < 999.5 else f"{number:,.0f}"
