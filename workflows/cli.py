"""`relume VERB`: finds the verb, and turns what it raises into one line and an exit code.

Imports nothing heavy, so that `relume --help` answers at once; a verb's module is imported when it
is called.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeVar

Parsed = TypeVar("Parsed")
DONE, INCOMPLETE, WRONG = 0, 1, 2
# As a shell tells it: 128 and the number of the signal.
INTERRUPTED, NO_READER, TERMINATED = 130, 141, 143

VERBS = {
    "doctor": "say what this machine can do: GPUs, Ray, Slurm, models, a folder",
    "fetch": "download the models of a preset, on a machine with internet",
    "names": "choose names of actors and actresses from IMDb's name.basics.tsv.gz",
    "prompts": "choose prompts of people out of COCO's captions, or of MJHQ-30K",
    "plan": "fix every sample of a dataset: ids, splits, shards, prompts, seeds",
    "generate": "make a planned dataset, or continue it",
    "inspect": "say what is in a dataset, verify it, take samples out of it",
    "audit": "say who seems to be in a dataset's pictures, and how sure that is",
    "curate": "choose samples by what an audit found, to a target",
    "gallery": "make static pages to look through a dataset, with an audit's findings",
    "caption": "say in words what pictures show, with LLaVA, and review it",
    "train": "train a head on a dataset of pairs, or continue",
    "lora": "train a LoRA of Stable Diffusion 1.5 on pictures with texts, or continue",
    "sweep": "train a grid of heads in two phases, and say which one to take",
    "jobs": "say how the Slurm jobs of a run or a sweep stand",
    "facescore": "score the faces in pictures, train such a scorer, compare it with people",
    "enhance": "put pictures, or a dataset's pictures, through a head",
    "guide": "fine-tune Stable Diffusion on face pairs by the guidance loss",
    "facepairs": "make pairs of a good and a bad face out of pictures, by inpainting",
    "evaluate": "compare heads and other rows with the slow model, with intervals",
    "rate": "ask people which picture is better, blind and offline, and say what they chose",
    "benchmark": "time teacher, source, and source + head at several sizes (Figure 8)",
    "reproduce": "do everything that the paper did, in order, and report it on one page",
}
_WRONG_PATHS = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a file stands where a folder should; check the path",
    errno.EISDIR: "a folder stands where a file should; check the path",
    errno.EEXIST: "something else has that name; move it away, or choose another path",
    errno.EACCES: "ask for the permission, or choose another path",
    errno.EPERM: "ask for the permission, or choose another path",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "check the links in the path",
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
        "relume VERB --help explains a verb; relume --version tells the version.",
        "--debug adds the traceback to an error.",
        "",
        "Exit codes: 0 done; 1 ran, but something is missing, failed or set aside; 2 wrong input;",
        "130 and 143 stopped by Ctrl-C or SIGTERM: the same command continues; 141 nobody reads.",
    ]
)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a verb in the same orderly way as Ctrl-C."""


# Whether SIGTERM came: Ray, whose own processes it may have ended too, then raises a bare
# KeyboardInterrupt on top.
_sigterm_came = threading.Event()


def why_stopped() -> str:
    """What a KeyboardInterrupt stands for."""
    return "SIGTERM" if _sigterm_came.is_set() else "Ctrl-C"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    flags = [word for word in arguments[:1] if word == "--debug"]
    arguments = arguments[len(flags) :]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE)
        return DONE if arguments else WRONG
    if arguments[0] == "--version":
        from importlib.metadata import version

        from shards.provenance import code_version

        print(f"relume {version('relume')}, code {code_version()}")
        return DONE
    verb, *rest = arguments
    if verb not in VERBS:
        from schemas.mistakes import nearest

        print(f"error: unknown verb {verb!r}; {nearest(verb, list(VERBS))}", file=sys.stderr)
        return WRONG
    main_of_verb = importlib.import_module(f"workflows.{verb}").main
    return run_verb(main_of_verb, [*flags, *rest], online=verb == "fetch")


def run_verb(
    verb: Callable[[list[str]], int], argv: Sequence[str] | None = None, *, online: bool = False
) -> int:
    """Call a verb with its arguments; an error becomes one line, and the traceback with --debug.

    Unless it is said to go online, models come from disk alone.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    from schemas.endings import CannotGoOn

    if not online:
        from models.offline import stay_offline

        stay_offline()
    _survive_any_terminal()
    try:
        with _terminable():
            code = verb([argument for argument in arguments if argument != "--debug"])
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # Whoever read has gone; what is still buffered must not be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    except (ValueError, OSError, CannotGoOn) as error:
        from workflows.console import Console

        if debug:
            traceback.print_exc()
        Console().error(_one_line(error))
        wrong = isinstance(error, ValueError) or getattr(error, "errno", None) in _WRONG_PATHS
        return WRONG if wrong else INCOMPLETE
    except KeyboardInterrupt as stop:
        if isinstance(stop, Terminated) or _sigterm_came.is_set():
            print("stopped by SIGTERM; the same command continues", file=sys.stderr)
            return TERMINATED
        print("interrupted; the same command continues", file=sys.stderr)
        return INTERRUPTED


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind what is going on, so that owners and connections are given back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_: object) -> None:
        _sigterm_came.set()
        raise Terminated("SIGTERM")

    _sigterm_came.clear()
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _survive_any_terminal() -> None:
    """A name in a script that a terminal lacks is escaped, and ends nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def parse(arguments: type[Parsed], verb: str, argv: Sequence[str]) -> Parsed:
    """Arguments of a verb out of its command line."""
    import tyro

    from schemas.mistakes import nearest
    from workflows.choices import refuse_unknown_choices

    known = [f"--{field.name.replace('_', '-')}" for field in fields(arguments)]  # type: ignore[arg-type]
    given = [word.partition("=")[0].replace("_", "-") for word in argv if word.startswith("--")]
    unknown = [word for word in given if word not in (*known, "--help")]
    if unknown:
        told = "; ".join(f"{word}: unknown option, {nearest(word, known)}" for word in unknown)
        raise ValueError(f"relume {verb}: {told}")
    refuse_unknown_choices(arguments, verb, argv)
    return tyro.cli(arguments, prog=f"relume {verb}", args=list(argv), config=_style())


def parse_known(
    arguments: type[Parsed], verb: str, argv: Sequence[str]
) -> tuple[Parsed, list[str]]:
    """Arguments of a verb, and what it does not know."""
    import tyro

    from workflows.choices import refuse_unknown_choices

    refuse_unknown_choices(arguments, verb, argv)
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
    if not isinstance(error, OSError) or not error.errno:
        return str(error)
    from schemas.endings import told_of_disk

    mend = _WRONG_PATHS.get(error.errno)
    if mend is None:
        return told_of_disk(error)
    path = f"{error.filename}: " if error.filename else ""
    return f"{path}{os.strerror(error.errno)}; {mend}"
