"""`relume reproduce`: the whole paper, step by step, and its report on one page."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from workflows.cli import DONE, parse, run_verb
from workflows.console import Console, duration

if TYPE_CHECKING:
    from tasks.reproduce_steps import Step

DONE_STEPS, ASIDE = "steps", "aside"
# Processes end so after a signal: as a shell tells it, or negative as Python does.
_MOST_CODE = 255


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Do everything that the paper did, from names to its tables, or go on where it stopped.

    Each step is a command that could be typed by itself, and is shown. A step that is done is not
    done again; the same command goes on after a failure, a kill or a change of the config.
    """

    config: tyro.conf.Positional[Path]
    """preset with [reproduce], for example configs/demo.toml"""
    out: Path
    """folder for everything; the report is OUT/report/index.html"""
    until: str | None = None
    """stop after this step"""
    steps: Annotated[bool, tyro.conf.arg(help="list the steps and how they stand; do none")] = False


def main(argv: list[str]) -> int:
    """Reproduce."""
    arguments = parse(Arguments, "reproduce", argv)
    from schemas.config import read_preset
    from schemas.mistakes import nearest
    from schemas.reproduce import read_reproduce
    from schemas.settings import read_toml
    from tasks.reproduce_steps import steps, unknown_options

    config, out = arguments.config.absolute(), arguments.out.absolute()
    settings, preset = read_reproduce(config), read_preset(config)

    def every() -> Iterator[Step]:
        # Anew each time: what a later step is told may depend on what an earlier one left.
        timed = "benchmark" in read_toml(config)
        return steps(preset, settings, config, out, benchmarked=timed)

    names = [step.name for step in every()]
    for unknown in unknown_options(names, settings):
        raise ValueError(f"{config}: [reproduce.options] {unknown}: {nearest(unknown, names)}")
    if arguments.until is not None and arguments.until not in names:
        raise ValueError(f"--until {arguments.until}: {nearest(arguments.until, names)}")
    console = Console()
    if arguments.steps:
        _list(list(every()), out, console)
        return DONE
    for number, step in enumerate(every(), 1):
        code = _do(step, f"{number} of {len(names)}", out, console)
        if code:
            return code
        if step.name == arguments.until:
            return DONE
    return _report(config, out, console)


def _do(step: Step, which: str, out: Path, console: Console) -> int:
    """Run a step unless it is done; the exit code."""
    from shards.filesystem import make_folder, plain, replace_file
    from shards.provenance import ROOT
    from tasks.reproduce_steps import command
    from tasks.step_process import run_to_its_end

    took_s = _done(step, out)
    if took_s is not None:
        console.note(f"{which}, {step.name}: done")
        return DONE
    console.heading(f"\n{which}: $ {command(step)}")
    sys.stdout.flush()
    _make_way(step, out, console)
    told: dict[str, Any] = {"key": step.key(), "command": command(step)}
    make_folder(out / DONE_STEPS)
    replace_file(out, _mark(step, out), plain(json.dumps(told, indent=1).encode() + b"\n"))
    begun = time.monotonic()
    code = run_to_its_end([sys.executable, "-m", step.module, *step.words], ROOT)
    if code == 0 and not step.outcome.exists():
        console.error(
            f"{step.name}: ended well and left no {step.outcome}; this is a mistake of ours"
        )
        return 1
    if code:
        console.error(
            f"{step.name}: ended with {code}; its own words above say why. The same relume "
            "reproduce goes on from here"
        )
        return min(abs(code), _MOST_CODE)
    told["took_s"] = round(time.monotonic() - begun, 1)
    replace_file(out, _mark(step, out), plain(json.dumps(told, indent=1).encode() + b"\n"))
    return DONE


def _mark(step: Step, out: Path) -> Path:
    return out / DONE_STEPS / f"{step.name}.json"


def _told(step: Step, out: Path) -> dict[str, Any]:
    """What is noted of a step that was begun; took_s is there once it is done."""
    try:
        told: dict[str, Any] = json.loads(_mark(step, out).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return told


def _done(step: Step, out: Path) -> float | None:
    """How long a step took that is done; None where it is not, or was another one."""
    told = _told(step, out)
    if told.get("key") != step.key() or not step.outcome.exists():
        return None
    return told.get("took_s")


def _make_way(step: Step, out: Path, console: Console) -> None:
    """Set a folder aside that another command has begun, where it would never take this one's."""
    earlier, folder = _told(step, out).get("key"), step.makes_way
    if folder is None or earlier in (None, step.key()) or not folder.exists():
        return
    aside = out / ASIDE / f"{folder.name}-{earlier}"
    if aside.exists():
        raise ValueError(f"{aside}: is there already; move it or {folder} elsewhere")
    aside.parent.mkdir(exist_ok=True)
    folder.rename(aside)
    console.warn(f"{folder}: was made by another command or of other things; it is {aside} now")


def _list(every: list[Step], out: Path, console: Console) -> None:
    from tasks.reproduce_steps import command

    rows = []
    for step in every:
        took_s = _done(step, out)
        rows.append((step.name, "to do" if took_s is None else duration(took_s), command(step)))
    # A line each, however long, so that a command can be copied.
    wide, long = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, took, typed in rows:
        console.result(f"{name:<{wide}}  {took:>{long}}  {typed}")


def _report(config: Path, out: Path, console: Console) -> int:
    from tasks.paper_page.build import build_page

    page = build_page(config, out)
    console.heading(f"\nThe report: {page}")
    console.note("open it in a browser; it needs no server and no network")
    return DONE


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
