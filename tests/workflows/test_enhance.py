"""`relume enhance`: a dataset on a real Ray, files, what is refused, and what a kill leaves."""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from PIL import Image

from models.heads.build import build_network
from schemas.selection import SELECTION_SCHEMA
from shards.encoding import read_parquet
from shards.events import read as read_events
from shards.plan import read_plan
from shards.provenance import ROOT
from shards.reader import Reader
from shards.run import read_generator
from shards.verify import verify
from tasks.selection_file import write_selection
from tests.heads import SMALL, small_head
from workflows.cli import main

Capture = pytest.CaptureFixture[str]
OF_A_RUN = ("generator.json", "run.json")


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("head") / "head"
    small_head(folder)
    return folder


def enhance(*words: object) -> int:
    return main(["enhance", *map(str, words)])


@pytest.fixture(scope="module")
def enhanced(tmp_path_factory: pytest.TempPathFactory, head: Path, finished: Path) -> Path:
    """The finished dataset through the head, in one process."""
    out = tmp_path_factory.mktemp("enhanced") / "out"
    assert enhance(head, finished, "--out", out, "--here") == 0
    return out


def test_a_dataset_becomes_a_dataset(enhanced: Path, finished: Path) -> None:
    assert list(verify(enhanced)) == []
    ours, theirs = Reader(enhanced), Reader(finished)
    assert ours.stages == ("enhanced",)
    for column in ("id", "split", "half", "shard", "index", "prompt"):
        assert ours.rows[column].equals(theirs.rows[column])
    whole = small_head()
    for position in range(0, len(ours), 9):
        given = Image.open(_file(theirs.read(position, "source")))
        made = np.asarray(Image.open(_file(ours.read(position, "enhanced", check=True))))
        assert np.abs(made.astype(int) - np.asarray(whole(given))).max() <= 1
    made_by, made_from = read_generator(enhanced), read_generator(finished)
    assert made_by is not None
    assert made_from is not None
    assert made_by.numerics["made_from"] == made_from.fingerprint()
    assert made_by.models["enhanced"].weights == {"model.safetensors": whole.weights_sha256}


def _file(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


def test_others_verbs_know_what_it_is(enhanced: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["inspect", str(enhanced), "--verify"]) == 0
    assert "64 x 64 px, enhanced" in capsys.readouterr().out
    assert main(["gallery", str(enhanced), "--out", str(tmp_path / "gallery")]) == 0
    assert "relume enhance" in (enhanced / "README.md").read_text()
    assert main(["generate", "--here", str(enhanced)]) == 2
    assert "relume enhance makes its pictures" in capsys.readouterr().err


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workflows.enhance", *map(str, words)],
        env=os.environ | {"PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_and_continued_on_ray(
    head: Path,
    finished: Path,
    enhanced: Path,
    tmp_path: Path,
    files: Callable[..., dict[str, bytes]],
) -> None:
    out = tmp_path / "out"
    words = (head, finished, "--out", out)
    for least in (1, 4):
        driver = start(*words)
        while driver.poll() is None and len(list(out.glob("*/*.done.json"))) < least:
            time.sleep(0.005)
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
    driver = start(*words, "--json")
    told, said = driver.communicate()
    assert driver.returncode == 0, said
    summed = json.loads(told)
    assert (summed["missing"], summed["failed"], summed["shards"]) == (0, 0, 10)
    assert list(verify(out)) == []
    assert files(out, *OF_A_RUN) == files(enhanced, *OF_A_RUN)
    published = [e["shard"] for e in read_events(out) if e["kind"] == "shard-published"]
    assert len(published) == len(set(published))
    assert "took-over" in {event["kind"] for event in read_events(out)}


def test_parts_fill_one_dataset(
    head: Path,
    finished: Path,
    enhanced: Path,
    tmp_path: Path,
    files: Callable[..., dict[str, bytes]],
) -> None:
    out = tmp_path / "out"
    for part in ("1/3", "3/3", "2/3"):
        assert enhance(head, finished, "--out", out, "--here", "--part", part) == 0
    assert list(verify(out)) == []
    assert files(out, *OF_A_RUN) == files(enhanced, *OF_A_RUN)


def test_a_split_of_a_selection(head: Path, finished: Path, tmp_path: Path) -> None:
    made_from = read_generator(finished)
    assert made_from is not None
    ids = read_plan(finished)["id"]
    chosen = [number % 3 == 0 for number in range(len(ids))]
    table = pa.table(
        {"id": ids, "selected": chosen, "reason": [None if one else "too many" for one in chosen]},
        schema=SELECTION_SCHEMA,
    )
    selection = tmp_path / "selection.parquet"
    write_selection(selection, table, made_from.fingerprint())
    out = tmp_path / "out"
    words = (head, finished, "--out", out, "--here", "--stage", "target")
    assert enhance(*words, "--split", "train", "--selection", selection) == 0
    rows = read_parquet(out / "manifest.parquet")
    plan = read_plan(finished)
    taken = plan.filter(pc.and_(pc.equal(plan["split"], "train"), table["selected"]))
    assert rows["id"].to_pylist() == taken["id"].to_pylist()
    assert list(verify(out)) == []
    # Another choice is another dataset.
    assert enhance(*words, "--split", "train") == 2


def test_damage_is_mended(head: Path, finished: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    words = (head, finished, "--out", out, "--here", "--split", "test")
    assert enhance(*words) == 0
    tar = next(out.glob("test/*.tar"))
    whole = tar.read_bytes()
    tar.unlink()
    tar.write_bytes(whole[:700] + b"\0" + whole[701:])
    capsys.readouterr()
    assert enhance(*words) == 0
    assert "made now  nothing" in capsys.readouterr().out
    assert enhance(*words, "--mend") == 0
    assert tar.read_bytes() == whole
    assert enhance(*words, "--precision", "bfloat16") == 2
    assert "precision: 'float32', now 'bfloat16'" in capsys.readouterr().err


def test_what_is_not_made_yet_is_waited_for(
    head: Path, planned: Callable[..., Path], tmp_path: Path, capsys: Capture
) -> None:
    dataset, out = planned("medium"), tmp_path / "out"
    assert enhance(head, dataset, "--out", out, "--here") == 2
    assert "has no pictures yet" in capsys.readouterr().err
    assert main(["generate", "--here", str(dataset), "--part", "1/2"]) == 0
    assert enhance(head, dataset, "--out", out, "--here") == 1
    assert "5 shards not generated yet" in capsys.readouterr().err
    assert main(["generate", "--here", str(dataset), "--part", "2/2"]) == 0
    assert enhance(head, dataset, "--out", out, "--here") == 0
    assert list(verify(out)) == []


def test_a_head_of_elsewhere_and_one_that_saw_the_test_are_told(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    plan = read_plan(finished)
    tested = plan.filter(pc.equal(plan["split"], "test"))["id"].to_pylist()
    small_head(tmp_path / "head", trained_on=tested[:2])
    words = (tmp_path / "head", finished, "--out", tmp_path / "out", "--here")
    assert enhance(*words, "--split", "validation") == 0
    said = capsys.readouterr().err
    assert "the head is for pictures of FLUX.1-schnell (main), these are of procedural" in said
    assert "the head was trained on 2 samples of the test split" in said


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder, chance = tmp_path / "given", np.random.default_rng(0)
    folder.mkdir()
    for number in range(12):
        levels = chance.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{number:02d}.png")
    return folder


def test_files_and_what_is_wrong_with_them(
    head: Path, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    (pictures / "empty.png").touch()
    (pictures / "notes.txt").touch()
    Image.new("CMYK", (9, 9)).save(pictures / "cmyk.jpg")
    out = tmp_path / "out"
    assert enhance(head, pictures, "--out", out) == 1
    told = capsys.readouterr()
    assert f"{out}: 13 of 14 pictures enhanced" in told.out
    assert "1 file in the folders left out: no pictures" in told.err
    assert f"warning: {pictures / 'empty.png'}: is empty; get it again" in told.err
    assert f"{pictures / 'cmyk.jpg'}: CMYK without a profile" in told.err
    assert enhance(head, pictures, "--out", out, "--json") == 1
    summed = json.loads(capsys.readouterr().out)
    assert (summed["made"], summed["there"]) == (0, 13)
    assert summed["refused"] == [
        {"picture": str(pictures / "empty.png"), "why": "is empty; get it again"}
    ]
    assert enhance(head, pictures, "--out", out, "--format", "webp") == 2
    assert "begun with another head or other settings" in capsys.readouterr().err
    other = tmp_path / "other"
    for part in ("1/2", "2/2"):
        enhance(head, f"{pictures}/0*.png", "--out", other, "--part", part, "--format", "jpeg")
    assert len(list(other.glob("*.jpg"))) == 10


def test_files_killed_and_continued(head: Path, pictures: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert enhance(head, pictures, "--out", whole, "--threads", "1") == 0
    words = (head, pictures, "--out", out, "--threads", "1")
    driver = start(*words)
    while driver.poll() is None and len(list(out.glob("*.png"))) < 2:
        time.sleep(0.001)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    driver = start(*words, "--json")
    told, said = driver.communicate()
    assert driver.returncode == 0, said
    summed = json.loads(told)
    assert summed["made"] + summed["there"] == 12
    assert summed["there"] >= 2
    for path in whole.glob("*.png"):
        assert (out / path.name).read_bytes() == path.read_bytes()
    assert len(list(out.glob("*.png"))) == 12
    assert list((out / ".staging").iterdir()) == []


@pytest.mark.parametrize("what", ["files", "dataset"])
def test_a_full_disk_is_one_line_and_loses_nothing(
    what: str, head: Path, pictures: Path, finished: Path, tmp_path: Path
) -> None:
    program = Path(__file__).with_name("enhancing_on_a_full_disk.py")
    given = pictures if what == "files" else finished
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", sys.executable, program, head, given, tmp_path],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    faults = [json.loads(line) for line in done.stdout.splitlines()]
    for fault in faults:
        assert fault["code"] == 1, fault
        (line,) = [one for one in fault["said"].splitlines() if one.startswith("error: ")]
        assert "No space left on device" in line
        assert line.endswith("the same command continues")
        assert "Traceback" not in fault["said"]
        assert fault["rerun"] == 0, fault
        assert fault["files"] == faults[0]["files"]
    assert len(faults[0]["files"]) == (12 if what == "files" else 10)


def test_heads_that_are_refused(
    head: Path, pictures: Path, tmp_path: Path, capsys: Capture
) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "executed"),)

    (tmp_path / "bad.pth").write_bytes(pickle.dumps(Hostile()))
    torch.save({"weights": Hostile()}, tmp_path / "worse.pth")
    (tmp_path / "pickled").mkdir()
    torch.save(Hostile(), tmp_path / "pickled" / "model.bin")
    (tmp_path / "pickled" / "config.json").write_bytes((head / "config.json").read_bytes())
    (tmp_path / "newer").mkdir()
    config = json.loads((head / "config.json").read_text()) | {"version": 2}
    (tmp_path / "newer" / "config.json").write_text(json.dumps(config))
    (tmp_path / "changed").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "changed" / name).write_bytes((head / name).read_bytes())
    (tmp_path / "changed" / "head.py").write_text(
        f"import os; os.mkdir({str(tmp_path / 'executed')!r})"
    )
    for place, told in {
        "bad.pth": "refused, and nothing of it was run",
        "worse.pth": "refused, and nothing of it was run",
        "pickled": "model.bin is not read: it could execute code",
        "newer": "version = 2: this Relume reads 1; use the Relume that wrote it",
        "nowhere": f"{tmp_path}/nowhere: no such folder of a head; name the RUN/head that relume",
        "nowhere.pth": f"{tmp_path}/nowhere.pth: ",
    }.items():
        assert enhance(tmp_path / place, pictures, "--out", tmp_path / "out") == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert told in line
    assert enhance(tmp_path / "changed", pictures, "--out", tmp_path / "out") == 0
    assert not (tmp_path / "executed").exists()


def test_the_references_own_weights(pictures: Path, tmp_path: Path, capsys: Capture) -> None:
    """latest_net_G.pth, as the reference names its layers: width 4 without blocks."""
    network = build_network(SMALL, 0)
    chance = torch.Generator().manual_seed(0)
    shapes = {"1": (4, 3, 7, 7), "4": (8, 4, 3, 3), "7": (16, 8, 3, 3)}
    shapes |= {"10": (16, 8, 3, 3), "13": (8, 4, 3, 3), "17": (3, 4, 7, 7)}
    weights = {f"model.{n}.weight": torch.randn(s, generator=chance) for n, s in shapes.items()}
    weights["model.17.bias"] = torch.zeros(3)
    torch.save(weights, tmp_path / "latest_net_G.pth")
    out = tmp_path / "out"
    assert enhance(tmp_path / "latest_net_G.pth", pictures / "00.png", "--out", out) == 0
    assert (out / "00.png").exists()
    assert network.min_side_px


def test_exporting(head: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "exported"
    assert enhance(head, "--export", folder) == 0
    assert "need no Relume" in capsys.readouterr().out
    assert {one.name for one in folder.iterdir()} == {
        "README.md",
        "config.json",
        "head.py",
        "model.onnx",
        "model.safetensors",
    }
    assert enhance(folder, "--export", folder) == 2
    assert enhance(folder, "a.png", "--export", tmp_path / "x") == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "INPUT or --out is missing"),
        (["nowhere.png"], "INPUT or --out is missing"),
        (["nowhere.png", "--out", "OUT"], "nowhere.png: no such picture"),
        (["DATASET", "PICTURES", "--out", "OUT"], "is a dataset, which is enhanced by itself"),
        (["PICTURES", "--out", "OUT", "--split", "test"], "--split: is for a dataset"),
        (["PICTURES", "--out", "OUT", "--workers", "2"], "--workers: is for a dataset"),
        (["PICTURES", "--out", "PICTURES/out"], "choose a place outside"),
        (["PICTURES", "--out", "OUT", "--tile-px", "700"], "tile_px = 700: should be a multiple"),
        (["PICTURES", "--out", "OUT", "--overlap-px", "5000"], "at most half of tile_px = 2048"),
        (["PICTURES", "--out", "OUT", "--device", "cuda"], "no CUDA device is seen here"),
        (["PICTURES", "--out", "MINE"], "holds text and nothing of relume enhance"),
        (["DATASET", "--out", "DATASET/out"], "choose a place beside it"),
        (["DATASET", "--out", "OUT", "--format", "webp"], "a dataset's pictures are png"),
        (["DATASET", "--out", "OUT", "--stage", "teacher"], "has source and target"),
        (["DATASET", "--out", "OUT", "--selection", "none"], "none: is not there"),
    ],
)
def test_wrong_words(
    words: list[str],
    told: str,
    head: Path,
    pictures: Path,
    finished: Path,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "text").touch()
    places = {"DATASET": finished, "PICTURES": pictures, "OUT": tmp_path / "out"}
    places["MINE"] = tmp_path / "mine"
    for name, place in places.items():
        words = [word.replace(name, str(place)) for word in words]
    assert enhance(head, *words) == 2
    said = capsys.readouterr().err
    assert told in said
    assert len(said.splitlines()) <= 2
    assert not (tmp_path / "out" / "enhance.json").exists()
