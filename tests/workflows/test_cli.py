"""The verbs' door: what it lists works, and what goes wrong is one line."""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.endings import CannotGoOn
from shards.provenance import ROOT
from workflows.cli import USAGE, VERBS, main, run_verb


def relume(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("relume"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        # Beside an installed checkout, this one is meant.
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_help_lists_exactly_the_verbs_that_are_there() -> None:
    done = relume("--help")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, USAGE, "")
    # What verbs are made of cannot be run by itself.
    modules = Path("workflows").glob("*.py")
    there = {path.stem for path in modules if '__name__ == "__main__"' in path.read_text()}
    assert there == set(VERBS)
    listed = [line.split()[0] for line in USAGE.splitlines() if line.startswith("  ")]
    assert listed == list(VERBS)
    for verb in VERBS:
        assert callable(importlib.import_module(f"workflows.{verb}").main)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    for command in (relume(verb, "--help"), _module(verb, "--help")):
        assert (command.returncode, command.stderr) == (0, "")
        assert f"usage: relume {verb}" in command.stdout


def _module(verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"workflows.{verb}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("evaluate", "C", "--split", "train"), "--split train: should be test or validation"),
        (("evaluate", "C", "--split=None"), "--split None: should be test or validation"),
        (("evaluate", "C", "--split", "--json"), "--split: is given no word; should be test or"),
        (("enhance", "H", "I", "--format", "gif"), "--format gif: should be png, jpeg or webp"),
        (("curate", "A", "--attributes", "age", "hat"), "--attributes hat: should be gender, age"),
        (("train", "C", "--launcher", "cloud"), "--launcher cloud: should be local or slurm"),
    ],
)
def test_a_word_that_an_option_does_not_take_is_one_line(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--out", "X"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert f"relume {words[0]}: {told}" in said.err


def test_help_answers_at_once() -> None:
    program = (
        "import json, sys\n"
        "from workflows.cli import main\n"
        "main(['--help'])\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & {
        "numpy",
        "pandas",
        "PIL",
        "pyarrow",
        "torch",
        "ray",
        "rich",
        "tyro",
        "pydantic",
    }


def test_wrong_verbs() -> None:
    done = relume("genrate")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown verb 'genrate'; did you mean 'generate'?\n"
    assert relume().returncode == 2
    assert f"known here: {', '.join(sorted(VERBS))}" in relume("xyzzy").stderr
    # Neither a module that is no verb, nor a path to one.
    for verb in ("console", "../plan", "plan.py", "PLAN", ""):
        assert relume(verb).returncode == 2


def test_an_error_is_one_line_and_a_traceback_only_when_asked() -> None:
    done = relume("inspect", "/nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: /nowhere: is no folder of a dataset; make one with relume plan --out\n"
    )
    assert "Traceback" in relume("inspect", "/nowhere", "--debug").stderr


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ValueError("count = 0: should be more"), 2, "error: count = 0: should be more"),
        (
            OSError(errno.ENOSPC, "", "/data/x"),
            1,
            "error: /data/x: No space left on device; nothing published is lost; make room",
        ),
        (
            OSError(errno.EIO, "", "/data/x"),
            1,
            "error: /data/x: Input/output error; nothing published",
        ),
        (OSError("a plain one"), 1, "error: a plain one"),
        (CannotGoOn("taken over"), 1, "error: taken over"),
        (KeyboardInterrupt(), 130, "interrupted; the same command continues"),
    ],
)
def test_errors_and_their_codes(
    error: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def verb(_: list[str]) -> int:
        raise error

    assert run_verb(verb, []) == code
    assert told in capsys.readouterr().err


def test_wrong_options_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "somewhere", "--verfiy", "--josn"]) == 2
    said = capsys.readouterr().err
    assert "--verfiy: unknown option, did you mean '--verify'?" in said
    assert "--josn: unknown option, did you mean '--json'?" in said


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        (errno.ENOSPC, "make room, and the same command continues"),
        (errno.EDQUOT, "make room, and the same command continues"),
        (errno.EROFS, "mount it writable, and the same command continues"),
        (errno.ESTALE, "the same command continues once that is mended"),
    ],
)
def test_a_failing_disk_is_one_line_with_its_file_and_mend(
    code: int, mend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def verb(_: list[str]) -> int:
        raise OSError(code, os.strerror(code), "/data/[red]x")

    assert run_verb(verb, []) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: /data/[red]x: {os.strerror(code)}; ")
    assert line.endswith(mend)


@pytest.mark.parametrize("argv", [["a", "--debug", "b"], ["--debug", "a", "b"]])
def test_debug_adds_the_traceback_and_is_no_argument_of_the_verb(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[list[str]] = []

    def verb(arguments: list[str]) -> int:
        seen.append(arguments)
        raise ValueError("count = 0: should be more")

    assert run_verb(verb, argv) == 2
    assert seen == [["a", "b"]]
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith("error: count = 0: should be more\n")


def test_debug_may_stand_before_the_verb_and_a_version_is_told() -> None:
    done = relume("--debug", "inspect", "/nowhere")
    assert (done.returncode, "Traceback" in done.stderr) == (2, True)
    told = relume("--version")
    assert told.returncode == 0
    assert re.fullmatch(r"relume \d+\.\d+\.\d+, code [0-9a-f]{16}\n", told.stdout)


def test_a_reader_that_goes_away_is_no_error(generated: Path) -> None:
    program = f"{sys.executable} -m workflows.inspect {generated} --json | true"
    done = subprocess.run(
        ["bash", "-c", f"{program}; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert done.stdout == "141\n"
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_terminal_without_the_letters_gets_escapes() -> None:
    program = "from workflows.cli import run_verb\nfrom workflows.console import Console\n"
    program += "run_verb(lambda _: Console().result('Zo\u00eb') or 0, [])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": "."},
    )
    assert (done.returncode, done.stdout) == (0, "Zo\\xeb\n")


@pytest.mark.parametrize(("verb", "told"), [("fetch", "False"), ("lora", "True")])
def test_only_fetch_goes_online(verb: str, told: str) -> None:
    program = (
        "import contextlib; from workflows.cli import main\n"
        f"with contextlib.suppress(SystemExit): main(['{verb}', '--nonsense'])\n"
        "from huggingface_hub import constants; print(constants.HF_HUB_OFFLINE)"
    )
    clean = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == told, done.stderr
