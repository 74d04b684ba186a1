"""`relume VERB`: finds the verb, and turns what it raises into one line and an exit code.

Imports nothing heavy, so that `relume --help` answers at once; a verb's module is imported when it
is called.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Parsed = TypeVar("Parsed")
DONE, INCOMPLETE, WRONG = 0, 1, 2

VERBS = {
    "names": "choose names of actors and actresses from IMDb's name.basics.tsv.gz",
    "plan": "fix every sample of a dataset: ids, splits, shards, prompts, seeds",
    "generate": "make a planned dataset, or continue it",
    "inspect": "say what is in a dataset, verify it, take samples out of it",
}
_MENDS = {
    errno.ENOSPC: "nothing published is lost; make room, and the same command continues",
    errno.EDQUOT: "nothing published is lost; make room, and the same command continues",
    errno.EROFS: "nothing published is lost; mount it writable, and the same command continues",
    errno.EACCES: "ask for the permission, and the same command continues",
}
_WIDTH = max(map(len, VERBS))
USAGE = "\n".join(
    [
        "usage: relume VERB [options]",
        "",
        "Gives a fast image model the finish of its slow teacher.",
        "",
        *(f"  {verb:<{_WIDTH}}  {what}" for verb, what in VERBS.items()),
        "",
        "relume VERB --help explains a verb. --debug adds the traceback to an error.",
        "Exit codes: 0 done; 1 ran, but something is missing, failed or set aside; 2 wrong input.",
    ]
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE)
        return DONE if arguments else WRONG
    verb, *rest = arguments
    if verb not in VERBS:
        from schemas.settings import nearest

        print(f"error: unknown verb {verb!r}; {nearest(verb, list(VERBS))}", file=sys.stderr)
        return WRONG
    return run_verb(importlib.import_module(f"workflows.{verb}").main, rest)


def run_verb(verb: Callable[[list[str]], int], argv: Sequence[str] | None = None) -> int:
    """Call a verb with its arguments; an error becomes one line, a traceback only with --debug."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    from schemas.endings import CannotGoOn

    try:
        return verb([argument for argument in arguments if argument != "--debug"])
    except (ValueError, OSError, CannotGoOn) as error:
        from workflows.console import Console

        if debug:
            raise
        Console().error(_one_line(error))
        return WRONG if isinstance(error, ValueError) else INCOMPLETE
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 130


def parse(arguments: type[Parsed], verb: str, argv: Sequence[str]) -> Parsed:
    """Arguments of a verb out of its command line."""
    import tyro

    return tyro.cli(arguments, prog=f"relume {verb}", args=list(argv), config=_style())


def parse_known(
    arguments: type[Parsed], verb: str, argv: Sequence[str]
) -> tuple[Parsed, list[str]]:
    """Arguments of a verb, and what it does not know."""
    import tyro

    return tyro.cli(
        arguments,
        prog=f"relume {verb}",
        args=list(argv),
        config=_style(),
        return_unknown_args=True,
    )


def _style() -> Sequence[Any]:
    import tyro

    return (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        path = f"{error.filename}: " if error.filename else ""
        mend = _MENDS.get(error.errno, "the same command continues once that is mended")
        return f"{path}{os.strerror(error.errno)}; {mend}"
    return str(error)
