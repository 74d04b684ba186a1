"""`relume inspect` as a curator uses it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.generators.procedural.generator import ProceduralGenerator
from shards.reader import Reader
from workflows import generate
from workflows.cli import main


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_summary(generated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(generated)]) == 0
    out = said(capsys)
    assert "medium, complete" in out
    assert "64 of 64 planned, 0 failed" in out
    for row in ("train", "validation", "test", "source  procedural"):
        assert row in out


def test_summary_for_scripts(generated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(generated), "--json", "--verify"]) == 0
    told = json.loads(said(capsys))
    assert (told["complete"], told["ok"], told["problems"]) == (True, 64, [])
    assert sum(split["ok"] for split in told["splits"].values()) == 64
    assert told["stages"]["target"]["strength"] == 0.7
    assert told["writers"] == []


def test_a_planned_dataset_is_incomplete(
    planned: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = str(planned())
    assert main(["inspect", dataset]) == 1
    assert "small, incomplete" in said(capsys)
    assert main(["inspect", dataset, "--sheet", "never.png"]) == 2
    assert not Path("never.png").exists()


def test_verify_tells_what_is_wrong(generated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tar = generated / "train/shard-000000.tar"
    data = bytearray(tar.read_bytes())
    data[5000] ^= 1
    tar.write_bytes(data)
    (generated / "train/stray.tar").write_bytes(b"")
    assert main(["inspect", str(generated), "--verify"]) == 1
    out = said(capsys)
    assert "damaged: train/shard-000000: shard-000000.tar is not the file of its done.json" in out
    assert "orphan: train/stray.tar: is in no plan" in out


def test_a_sample(generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Reader(generated) as reader:
        row, source = reader.row(3), reader.read(3, "source")
    argv = ["inspect", str(generated), "--sample", row["id"], "--out", str(tmp_path / "out")]
    assert main(argv) == 0
    assert json.loads(said(capsys)) == row
    assert (tmp_path / "out" / f"{row['id']}.source.png").read_bytes() == source
    assert json.loads((tmp_path / "out" / f"{row['id']}.json").read_bytes()) == row
    assert main(["inspect", str(generated), "--sample", "../run"]) == 2


def test_a_contact_sheet(generated: Path, tmp_path: Path) -> None:
    path = tmp_path / "sheets" / "sheet.png"
    assert main(["inspect", str(generated), "--sheet", str(path)]) == 0
    sheet = Image.open(path)
    assert sheet.size == (8 * 68 + 4, 4 * 140 + 4)
    with Reader(generated) as reader:
        first = np.asarray(Image.open(io.BytesIO(reader.read(0, "target"))))
    assert np.array_equal(np.asarray(sheet)[4 + 64 : 4 + 128, 4:68], first)


def test_failed_samples(
    planned: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make = ProceduralGenerator.make

    def first_is_black(self, samples, given=None):
        made = {stage: pixels.copy() for stage, pixels in make(self, samples, given).items()}
        made["source"][0] = 0
        return made

    monkeypatch.setattr(ProceduralGenerator, "make", first_is_black)
    dataset = planned()
    assert generate.main(["--here", str(dataset)]) == 1
    capsys.readouterr()
    assert main(["inspect", str(dataset), "--verify"]) == 1
    out = said(capsys)
    assert "source is black" in out
    assert "verified: every file, picture and row is as it says" in out
    card = (dataset / "README.md").read_text()
    assert "2 failed and have a row with the reason" in card
    assert "\n- 2: source is black\n" in card
    assert main(["inspect", str(dataset), "--failed"]) == 1
    assert "source is black" in said(capsys)
    assert main(["inspect", str(dataset), "--failed", "--json"]) == 1
    rows = json.loads(said(capsys))["failed_samples"]
    assert len(rows) == 2
    argv = ["inspect", str(dataset), "--sample", rows[0]["id"], "--out", str(tmp_path / "s")]
    assert main(argv) == 1
    assert [path.suffix for path in (tmp_path / "s").iterdir()] == [".json"]
    # A final row is final: nothing is made again.
    assert generate.main(["--here", str(dataset)]) == 1
    assert "made now  nothing" in said(capsys)


def test_no_sample_failed(generated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(generated), "--failed"]) == 0
    assert "no sample failed" in said(capsys)
