"""`relume doctor`: tells what is there and what is not, and leaves nothing behind."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from models.tiny.write import write
from tasks.examine_machine import examine_folder
from workflows.cli import main


def findings(capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    return {one["what"]: one for one in json.loads(capsys.readouterr().out)["findings"]}


def test_a_machine_by_itself_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for what in ("python: 3.", "GPUs: ", "Ray: 2.", "Slurm: "):
        assert what in said


def test_models_that_are_missing_and_where_they_were_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert main(["doctor", "--config", "configs/paper.toml", "--json"]) == 1
    model = findings(capsys)["model black-forest-labs/FLUX.1-dev"]
    assert not model["well"]
    assert f"is not in {tmp_path}/models--black-forest-labs--FLUX.1-dev" in model["seen"]
    assert model["mend"] == "get it with: relume fetch PRESET"


def test_models_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("flux-schnell", tmp_path / "flux")
    preset = tmp_path / "my.toml"
    preset.write_text(
        '[generator]\nkind = "diffusers"\n'
        f'[stage.source]\nmodel = "{tmp_path / "flux"}"\n'
        '[dataset.d]\nprompt = "p"\ncount = 1\nstages = ["source"]\n'
    )
    main(["doctor", "--config", str(preset), "--json"])
    model = findings(capsys)[f"model {tmp_path / 'flux'}"]
    assert model["well"]
    assert f"in {tmp_path / 'flux'}" in model["seen"]


def test_a_folder_is_tried_and_left_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--folder", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for what in ("ok      links: ", "ok      renames: ", "ok      fsync: ", "room by the disk: "):
        assert what in said
    assert list(tmp_path.iterdir()) == []
    assert main(["doctor", "--folder", str(tmp_path / "nowhere")]) == 1
    assert "MISSING folder: " in capsys.readouterr().out


def refuse(*_: object) -> None:
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.mark.parametrize(("name", "what"), [("link", "links"), ("fsync", "fsync")])
def test_a_filesystem_that_lacks_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    monkeypatch.setattr(os, name, refuse)
    (found,) = [one for one in examine_folder(tmp_path) if one.what == what]
    assert not found.well
    assert found.seen == "Operation not supported"
    assert found.mend
    assert list(tmp_path.iterdir()) == []


def test_a_filesystem_whose_links_replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link: Callable[[Path, Path], None] = os.link

    def replacing(source: Path, path: Path) -> None:
        path.unlink(missing_ok=True)
        link(source, path)

    monkeypatch.setattr(os, "link", replacing)
    (found,) = [one for one in examine_folder(tmp_path) if one.what == "links"]
    assert (found.well, found.seen) == (False, "a second link replaced the first")
