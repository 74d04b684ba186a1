"""`relume facepairs`: a dataset of pairs on a real Ray, killed and continued, told and refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from models.tiny.write import write
from schemas.caption import CAPTION_SCHEMA, CaptionRecord, CaptionSettings
from schemas.sample import Stage
from shards.encoding import parquet_bytes
from shards.events import read as read_events
from shards.reader import Reader
from shards.record_file import publish_record
from shards.run import read_generator, read_planned
from shards.verify import verify
from tests.face_pictures import make_faces_dataset, write_preset
from workflows.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    for kind in ("deepface-onnx", "sd15", "sd15-inpainting"):
        write(kind, folder / kind)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces_dataset(tmp_path_factory.mktemp("pictures") / "data")


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    return write_preset(tmp_path_factory.mktemp("preset"), tiny)


def facepairs(*words: object) -> int:
    return main(["facepairs", *map(str, words)])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, preset: Path, dataset: Path) -> Path:
    """The pairs of that dataset, made in one process."""
    out = tmp_path_factory.mktemp("pairs") / "out"
    assert facepairs(preset, "--data", dataset, "--out", out, "--here") == 0
    return out


REPORT = {
    "shards": 2,
    "pictures": 8,
    "pictures_with_a_pair": 4,
    "planned": 16,
    "pairs": 6,
    "left_out": {"no 2nd face": 4, "no face": 4, "blurred": 2},
    "faults": 0,
    "by_face": {"1": {"kept": 4, "left out": 4}, "2": {"kept": 2, "left out": 6}},
    "by_noise_factor": {"0.2": 4, "0.4": 2},
    "prompts_cut": 0,
    "pictures_without_a_caption": {},
}


def test_pairs_are_a_dataset_like_any_other(pairs: Path, capsys: Capture) -> None:
    assert list(verify(pairs)) == []
    reader = Reader(pairs)
    assert reader.stages == ("good", "bad", "mask")
    assert len(reader) == 6
    assert json.loads((pairs / "facepairs.json").read_text()) == REPORT
    assert "relume facepairs" in (pairs / "README.md").read_text()
    assert (
        main(["inspect", str(pairs), "--verify"]) == 1
    )  # faces that are not there are failed rows
    assert "good and bad and mask" in capsys.readouterr().out
    assert main(["generate", "--here", str(pairs)]) == 2
    assert "relume facepairs makes its pictures" in capsys.readouterr().err


def test_the_same_command_again_makes_nothing(
    pairs: Path, preset: Path, dataset: Path, capsys: Capture
) -> None:
    before = {path: path.stat().st_mtime_ns for path in pairs.rglob("*.tar")}
    assert facepairs(preset, "--data", dataset, "--out", pairs, "--here", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"out": str(pairs), "missing": 0, **REPORT}
    assert facepairs(preset, "--data", dataset, "--out", pairs, "--here") == 0
    told = capsys.readouterr().out
    assert "6 of 16 planned faces, in 4 of 8 pictures" in told
    assert "no 2nd face" in told
    assert {path: path.stat().st_mtime_ns for path in pairs.rglob("*.tar")} == before


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workflows.facepairs", *map(str, words)],
        env=os.environ | {"PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_and_continued_on_ray(
    pairs: Path,
    preset: Path,
    dataset: Path,
    tmp_path: Path,
    files: Callable[..., dict[str, bytes]],
) -> None:
    out = tmp_path / "out"
    words = (preset, "--data", dataset, "--out", out, "--workers", 1)
    driver = start(*words)
    while driver.poll() is None and not list(out.glob("*/*.done.json")):
        time.sleep(0.005)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    driver = start(*words, "--json")
    told, said = driver.communicate()
    assert driver.returncode == 0, said
    assert json.loads(told) == {"out": str(out), "missing": 0, **REPORT}
    assert list(verify(out)) == []
    of_a_run = ("generator.json", "run.json")
    assert files(out, *of_a_run) == files(pairs, *of_a_run)
    published = [event["shard"] for event in read_events(out) if event["kind"] == "shard-published"]
    assert len(published) == len(set(published))
    assert "took-over" in {event["kind"] for event in read_events(out)}


def test_parts_and_mending(
    pairs: Path,
    preset: Path,
    dataset: Path,
    tmp_path: Path,
    capsys: Capture,
    files: Callable[..., dict[str, bytes]],
) -> None:
    out = tmp_path / "out"
    words = (preset, "--data", dataset, "--out", out, "--here")
    assert [facepairs(*words, "--part", part) for part in ("2/2", "1/2")] == [0, 0]
    tar = next(out.glob("train/*.tar"))
    tar.write_bytes(tar.read_bytes()[:-1] + b"\1")
    assert facepairs(*words, "--mend") == 0
    assert "set aside" in capsys.readouterr().err
    assert files(out, "run.json", "generator.json") == files(pairs, "run.json", "generator.json")


def test_a_plain_model_and_a_split(
    tiny: Path, dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    preset = write_preset(tmp_path, tiny, "sd15")
    words = (preset, "--data", dataset, "--out", tmp_path / "out", "--here", "--split", "train")
    assert facepairs(*words, "--faces", "1", "--inpaint.prompt", "portrait " * 80) == 0
    told = capsys.readouterr()
    assert "4 of 8 planned faces" in told.out
    assert "4 prompts cut to what the encoder reads" in told.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--stage", "target"], "has source; add --stage source"),
        (["--stage", "mask"], "is itself of a pair"),
        (["--inpaint.model", "nowhere"], "inpaint.model = 'nowhere': no such folder"),
        (["--finder.weights", "/nowhere"], "retinaface.onnx: is missing"),
        (["--rules.min-side-px", "3"], "min_side_px"),
        (["--faces", "0"], "faces"),
        (["--split", "test"], "nothing to pair"),
        (["--captions", "/nowhere"], "/nowhere"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_made(
    preset: Path, dataset: Path, tmp_path: Path, words: list[str], told: str, capsys: Capture
) -> None:
    out = tmp_path / "out"
    assert facepairs(preset, "--data", dataset, "--out", out, "--here", *words) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()


def write_captions(root: Path, dataset: Path, stage: Stage, statuses: Sequence[str]) -> Path:
    """A caption run over the first samples of a dataset, with these statuses."""
    generator = read_generator(dataset)
    assert generator is not None
    record = CaptionRecord(
        name="faces", dataset=generator.fingerprint(), stage=stage, photos=None,
        settings=CaptionSettings(model="tiny", question="Who is this?"), weights={}, clip={},
        refusals="1", code="", libraries={},
    )  # fmt: skip
    root.mkdir()
    publish_record(root / "captions.json", record)
    empty = dict.fromkeys(CAPTION_SCHEMA.names) | {"shard": "x", "captioner": "x"}
    ids = read_planned(dataset)[1]["id"].to_pylist()
    rows = [
        empty | {"id": one, "status": status, "caption": f"A caption of {one}."}
        for one, status in zip(ids, statuses, strict=False)
    ]
    table = pa.Table.from_pylist(rows, schema=CAPTION_SCHEMA)
    (root / "rows.parquet").write_bytes(parquet_bytes(table))
    return root


def test_captions_of_other_pictures_are_refused(
    preset: Path, dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    captions = write_captions(tmp_path / "captions", dataset, "target", ["ok"] * 8)
    words = (preset, "--data", dataset, "--out", tmp_path / "out", "--here")
    assert facepairs(*words, "--captions", captions) == 2
    assert "its captions are of the stage 'target'" in capsys.readouterr().err


def test_pictures_without_a_caption_are_counted(
    preset: Path, dataset: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Left out where that is asked for, and told, on the console and in the report."""
    statuses = ["ok", "refusal", "ok", "ok", "empty", "ok", "refusal"]
    captions = write_captions(tmp_path / "captions", dataset, "source", statuses)
    out = tmp_path / "out"
    words = (preset, "--data", dataset, "--out", out, "--here", "--captions", captions)
    assert facepairs(*words) == 2
    assert "4 of 8 samples have no usable caption" in capsys.readouterr().err
    assert facepairs(*words, "--missing", "skip") == 0
    said = capsys.readouterr().err
    assert "4 pictures left out: no caption (1 empty, 1 not captioned, 2 refusal)" in said
    report = json.loads((out / "facepairs.json").read_text())
    assert report["pictures"] == 4
    assert report["pictures_without_a_caption"] == {"empty": 1, "not captioned": 1, "refusal": 2}
    with Reader(out) as reader:
        assert all(one.startswith("A caption of ") for one in reader.rows["prompt"].to_pylist())
    # Who looks later, when nothing is left to make, is told so too.
    assert facepairs(*words, "--missing", "skip", "--json") == 0
    assert json.loads(capsys.readouterr().out)["pictures_without_a_caption"] == {
        "empty": 1, "not captioned": 1, "refusal": 2
    }  # fmt: skip


def test_other_settings_are_refused(
    pairs: Path, preset: Path, dataset: Path, capsys: Capture
) -> None:
    words = (preset, "--data", dataset, "--out", pairs, "--here")
    assert facepairs(*words, "--rules.min-clearness", "1") == 2
    assert "rules.min_clearness" in capsys.readouterr().err
    assert facepairs(*words, "--faces", "1") == 2
    assert "belongs to another plan" in capsys.readouterr().err
    assert facepairs(preset, "--data", dataset, "--out", dataset / "in", "--here") == 2
    assert "choose a place beside it" in capsys.readouterr().err
