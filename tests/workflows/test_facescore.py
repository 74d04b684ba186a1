"""`relume facescore score`: faces in files and in datasets, and what becomes of the others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.facescore.pixels import face_crop
from models.facescore.scorer import open_scorer, scorer_files
from models.heads.folder import write_folder
from models.tiny.write import write
from schemas.audit import Box, DeepFaceSettings
from schemas.facescore import FACE_SCORE_SCHEMA, FaceScoreSettings
from schemas.photo import PlannedPhoto
from schemas.records import check_record
from shards.encoding import read_parquet
from shards.events import read as read_events
from shards.photo_files import read_as_planned
from shards.reader import Reader
from tasks.facescore.faces import FaceScore, scorer_weights
from tests.blurred_pairs import make_blurred_pairs
from workflows.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write("facescore", folder / "scorer")
    write("deepface-onnx", folder / "faces")
    return folder


@pytest.fixture
def score(tiny: Path) -> Callable[..., int]:
    def run(*words: str | Path) -> int:
        own = ["--scorer", str(tiny / "scorer"), "--weights", str(tiny / "faces")]
        return main(["facescore", "score", *map(str, words), *own])

    return run


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, finished: Path) -> Path:
    """Portraits, one of them twice in a picture, a picture without a face, and no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    with Reader(finished) as reader:
        for number in range(3):
            (folder / f"portrait{number}.png").write_bytes(reader.read(number, "source"))
    portrait = Image.open(folder / "portrait0.png")
    two = Image.new("RGB", (256, 256))
    two.paste(portrait, (32, 32))
    two.paste(portrait, (160, 32))
    two.save(folder / "two.png")
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(folder / "grey.png")
    return folder


def rows_of(root: Path) -> list[dict[str, Any]]:
    table = read_parquet(root / "rows.parquet")
    check_record(table.schema, FACE_SCORE_SCHEMA, str(root))
    return list(table.to_pylist())


def test_pictures_get_a_score_for_every_face(
    score: Callable[..., int], pictures: Path, tiny: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "scores"
    assert score(pictures, "--out", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    rows = {row["id"]: row for row in rows_of(out)}
    assert told["faces scored"] == 5
    assert told["with several"] == told["without a face"] == 1
    assert [one["id"] for one in told["rows"]] == list(rows)
    assert rows["grey.png"]["status"] == "no_face"
    assert rows["grey.png"]["score"] is None
    assert rows["two.png"]["score"] == rows["two.png"]["scores"][0]
    # The same by hand: the box with a pixel around it, through the scorer.
    levels = np.asarray(Image.open(pictures / "portrait1.png").convert("RGB"))
    row = rows["portrait1.png"]
    sides = (row[f"box_{side}"][0] for side in ("x", "y", "width", "height"))
    x, y, width, height = sides
    crop = face_crop(levels, Box(x=x, y=y, width=width, height=height), 1)
    assert crop is not None
    np.testing.assert_array_equal(crop, levels[y - 1 : y + height + 1, x - 1 : x + width + 1])
    assert row["scores"] == pytest.approx([open_scorer(tiny / "scorer").score([crop])[0]], abs=1e-5)


def test_files_killed_and_continued(
    pictures: Path, tiny: Path, tmp_path: Path, capsys: Capture
) -> None:
    """What was published stays as it is, and the end is that of a run that nobody killed."""
    folder = tmp_path / "in"
    shutil.copytree(pictures, folder)
    for number in range(20):
        shutil.copy(pictures / "portrait1.png", folder / f"copy{number}.png")
    words = ["score", str(folder), "--scorer", str(tiny / "scorer"), "--chunk", "1"]
    words += ["--weights", str(tiny / "faces")]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(["facescore", *words, "--out", str(whole)]) == 0
    driver = subprocess.Popen(
        [sys.executable, "-m", "workflows.facescore", *words, "--out", str(killed)],
        env=os.environ | {"PYTHONPATH": "."},
        stderr=subprocess.DEVNULL,
    )
    while driver.poll() is None and not list(killed.glob("pictures/*.done.json")):
        time.sleep(0.001)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    made = {path: path.stat().st_ino for path in killed.glob("pictures/*.done.json")}
    assert 0 < len(made) < 25
    assert main(["facescore", *words, "--out", str(killed)]) == 0
    assert rows_of(killed) == rows_of(whole)
    assert len(rows_of(whole)) == 25
    assert {path: path.stat().st_ino for path in made} == made
    published = [one["shard"] for one in read_events(killed) if one["kind"] == "shard-published"]
    assert len(published) == len(set(published))
    # Scores are bound to the files that they are of.
    capsys.readouterr()
    others = ["score", str(pictures / "portrait0.png"), *words[2:], "--out", str(killed)]
    assert main(["facescore", *others]) == 2
    assert "was begun of other pictures" in capsys.readouterr().err


def test_a_file_that_is_gone_fails_its_chunk(
    score: Callable[..., int],
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    """A disk that is not mounted must not become rows for ever; the other chunks are scored."""
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(pictures, folder)

    def taken_away(place: Path, photo: PlannedPhoto) -> bytes:
        if photo.id == "two.png":
            (folder / "two.png").unlink(missing_ok=True)
        return read_as_planned(place, photo)

    with monkeypatch.context() as patch:
        patch.setattr("tasks.captions.inputs.read_as_planned", taken_away)
        assert score(folder, "--out", out, "--chunk", "2") == 1
    told = capsys.readouterr()
    assert "is gone since it was planned" in told.err
    assert "2 of 3 shards scored; the same command continues" in told.err
    assert len(rows_of(out)) == 4
    shutil.copy(pictures / "two.png", folder / "two.png")
    assert score(folder, "--out", out, "--chunk", "2", "--retry-failed") == 0
    assert len(rows_of(out)) == 5


def test_the_settings_beside_the_weights_are_part_of_a_scorer(
    score: Callable[..., int], pictures: Path, tiny: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Other heads or another norm load with the same weights, and score otherwise."""
    scorer, out, portrait = tmp_path / "scorer", tmp_path / "scores", pictures / "portrait0.png"
    shutil.copytree(tiny / "scorer", scorer)
    place = scorer / "med_config.json"
    settings = json.loads(place.read_text())
    own = ["facescore", "score", str(portrait), "--scorer", str(scorer), "--out", str(out)]
    own += ["--weights", str(tiny / "faces")]
    assert main(own) == 0
    (before,) = rows_of(out)
    place.write_text(json.dumps(settings | {"num_attention_heads": 1}))
    crop = np.asarray(Image.open(portrait).convert("RGB"))
    one, other = (open_scorer(place).score([crop])[0] for place in (tiny / "scorer", scorer))
    assert abs(one - other) > 1e-3
    capsys.readouterr()
    assert main(own) == 2
    assert "weights.scorer/med_config.json: " in capsys.readouterr().err
    assert main([*own, "--out", str(tmp_path / "others")]) == 0
    (after,) = rows_of(tmp_path / "others")
    assert after["scorer"] != before["scorer"]
    # Of a scorer that was trained here, its scale too.
    write_folder(tmp_path / "ours", scorer_files(open_scorer(scorer).network, None))
    ours = FaceScoreSettings(
        faces=DeepFaceSettings(weights=str(tiny / "faces"), min_confidence=0.9)
    )
    sums = scorer_weights(ours, tmp_path / "ours")
    config = tmp_path / "ours/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"reward_std": 2.0}))
    changed = scorer_weights(ours, tmp_path / "ours")
    assert {key for key in sums if sums[key] != changed[key]} == {"scorer/config.json"}
    config.unlink()
    with pytest.raises(ValueError, match=r"config\.json: is missing; put it beside model"):
        scorer_weights(ours, tmp_path / "ours")


def test_pictures_that_cannot_be_read_are_told(
    score: Callable[..., int], pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/broken.png").write_bytes(b"no picture")
    (tmp_path / "in/notes.txt").write_text("no picture either")
    portrait = pictures / "portrait0.png"
    assert score(tmp_path / "in", portrait, "--out", tmp_path / "scores") == 1
    told = capsys.readouterr()
    assert "1 file in the folders left out" in told.err
    assert "1 picture could not be scored" in told.err
    assert "is no picture that Pillow knows" in told.out
    broken, whole = rows_of(tmp_path / "scores")
    assert (broken["status"], broken["num_found"], broken["scores"]) == ("error", None, None)
    assert whole["status"] == "ok"
    # Another rule is another table.
    code = score(portrait, "--out", tmp_path / "scores", "--picture", "mean")
    assert code == 2
    assert "settings.picture: 'largest', now 'mean'" in capsys.readouterr().err


def test_a_dataset_is_scored_by_shards(
    score: Callable[..., int],
    finished: Path,
    tmp_path: Path,
    files: Callable[..., dict[str, bytes]],
    capsys: Capture,
) -> None:
    out = tmp_path / "scores"
    assert score(finished, "--out", out, "--here", "--stage", "source", "--json") == 0
    assert json.loads(capsys.readouterr().out)["faces scored"] == 64
    rows = rows_of(out)
    assert {row["stage"] for row in rows} == {"source"}
    assert len({row["id"] for row in rows}) == 64
    before = files(out)
    # What a killed run had not published is made again, and is the same.
    shard = out / rows[0]["shard"]
    shard.with_name(f"{shard.name}.done.json").unlink()
    assert score(finished, "--out", out, "--here", "--stage", "source") == 0
    assert files(out) == before
    assert score(finished, "--out", out, "--here") == 2
    assert "stages: ['source'], now ['source', 'target']" in capsys.readouterr().err


def test_damaged_bytes_are_an_error_of_their_row(
    score: Callable[..., int], generated: Path, tmp_path: Path, capsys: Capture
) -> None:
    with Reader(generated) as reader:
        row = reader.row(0)
    tar = generated / f"{row['shard']}.tar"
    with tar.open("r+b") as file:
        file.seek(row["source_offset"] + 100)
        file.write(b"XXXX")
    out = tmp_path / "scores"
    assert score(generated, "--out", out, "--here", "--stage", "source") == 1
    assert "is not as published" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{pictures}", "--stage", "source"], "--stage source: is for a dataset"),
        (["{pictures}", "{finished}"], "is a dataset, which is scored by itself"),
        (["{finished}", "--stage", "teacher"], "--stage teacher: "),
        (["{finished}", "--chunk", "3"], "--chunk 3: is for files"),
        (["{pictures}", "--chunk", "0"], "--chunk 0: should be at least 1"),
        (["{finished}", "--out", "{finished}/scores"], "lies in"),
        (["{pictures}", "--batch-size", "0"], "batch_size"),
        (["{pictures}", "--detector", "opencv", "--min-confidence", "0.5"], "min_confidence"),
        (["{pictures}", "--scorer", "{pictures}"], "holds no face scorer"),
        (["{pictures}", "--weights", "{pictures}"], r"retinaface.onnx: is missing"),
        (["{pictures}", "--out", "{finished}"], "holds other files and no scores"),
        (["nowhere"], "nowhere: no such picture"),
    ],
)
def test_wrong_words_are_told(
    words: list[str],
    told: str,
    tiny: Path,
    pictures: Path,
    finished: Path,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    given = [word.format(pictures=pictures, finished=finished) for word in words]
    options = {
        "--out": tmp_path / "out",
        "--scorer": tiny / "scorer",
        "--weights": tiny / "faces",
    }
    for option, value in options.items():
        if option not in given:
            given += [option, str(value)]
    assert main(["facescore", "score", *given]) == 2
    assert told in capsys.readouterr().err


def test_parts_are_told(capsys: Capture) -> None:
    assert main(["facescore"]) == 2
    assert main(["facescore", "--help"]) == 0
    assert "compare scores with people" in capsys.readouterr().out
    assert main(["facescore", "sorce"]) == 2
    assert "no such part; did you mean 'score'?" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_refused(
    score: Callable[..., int], pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    import torch

    if torch.cuda.is_available():
        assert score(pictures, "--out", tmp_path / "scores", "--device", "cuda") == 0
    else:
        assert score(pictures, "--out", tmp_path / "scores", "--device", "cuda") == 2
        assert "this machine has no GPU" in capsys.readouterr().err


def test_what_no_detector_takes_is_an_error_of_its_picture(
    tiny: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = DeepFaceSettings(weights=str(tiny / "faces"), min_confidence=0.9)
    score = FaceScore(FaceScoreSettings(faces=faces), tiny / "scorer")
    score.load()
    score.load()
    portrait = np.asarray(Image.open(pictures / "portrait0.png").convert("RGB"))
    told = score.score([portrait, np.zeros((4, 4)), np.zeros((0, 4, 3), np.uint8)])  # type: ignore[list-item]
    assert [one.status for one in told] == ["ok", "error", "error"]
    assert told[1].reason == "is float64 of (4, 4), should be uint8 of (height, width, 3)"
    assert told[2].reason == "is empty: (0, 4, 3)"
    assert score._loaded is not None
    finder, scorer = score._loaded

    def broken(*_: object) -> list[object]:
        raise RuntimeError("an engine\nfell over")

    monkeypatch.setattr(finder, "seen", broken)
    assert score.find(portrait) == "retinaface: RuntimeError: an engine fell over"
    monkeypatch.undo()
    scorer.network.mlp[-1].bias.data.fill_(float("nan"))
    assert score.score([portrait])[0].reason == "the scorer gave what is no number"


def test_the_worker_finds_other_weights(tiny: Path, tmp_path: Path, finished: Path) -> None:
    from schemas.endings import CannotGoOn
    from schemas.facescore import FaceScoreRecord
    from tasks.score_shard import ScoreConfig, ScoreShard

    faces = DeepFaceSettings(weights=str(tiny / "faces"), min_confidence=0.9)
    settings = FaceScoreSettings(faces=faces)
    record = FaceScoreRecord(
        dataset="x",
        stages=("source",),
        settings=settings,
        weights={"scorer/FS_model.pt": "other"},
        code="",
        libraries={},
        processor="",
    )
    worker = ScoreShard(ScoreConfig(str(tmp_path), str(finished), str(tiny / "scorer"), record))
    with pytest.raises(CannotGoOn, match="has other weights than the driver"):
        worker.setup()


def test_a_scorer_is_trained_and_continued(
    tmp_path_factory: pytest.TempPathFactory, capsys: Capture
) -> None:
    """By two processes, whose run goes on with the words that began it."""
    folder = tmp_path_factory.mktemp("pairs")
    pairs = make_blurred_pairs(folder, 24, 2.0)
    run = folder / "run"
    words = ["facescore", "train", str(folder / "preset.toml"), "--data", str(pairs)]
    words += ["--out", str(run), "--batch-size", "5", "--epochs", "1"]
    assert main([*words, "--processes", "2"]) == 0
    told = capsys.readouterr()
    assert "metrics.jsonl: loss and pair accuracy of each epoch" in told.err
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["kind"] == "epoch"
    with Reader(pairs, "validation") as reader:
        assert last["pairs"] == len(reader)
    # Done before: nothing is trained, and the scorer is there.
    assert main([*words, "--processes", "2"]) == 0
    assert "were done before" in capsys.readouterr().err
    assert open_scorer(run / "scorer").network.shape.image_px == 32
    assert main(words) == 2
    assert "processes: 2, now 1" in capsys.readouterr().err
    assert main([*words, "--launcher", "slurm", "--dry-run"]) == 0
    assert "#SBATCH" in capsys.readouterr().out
    assert main([*words, "--wait"]) == 2
