"""`relume benchmark` on tiny FLUX checkpoints and a tiny head: the road, not the times."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from models.heads.build import build_network
from models.heads.head import Head
from models.tiny.write import write
from schemas.head import ResnetSettings
from workflows.cli import main

Capture = pytest.CaptureFixture[str]
PRESET = """
[generator]
kind = "diffusers"
dtype = "float32"
device = "cpu"

[stage.source]
model = "{folder}/flux-schnell"
steps = 1

[stage.teacher]
model = "{folder}/flux-dev"
steps = 4
guidance = 3.0

[dataset.d]
prompt = "A portrait"
count = 12
stages = ["source"]

[benchmark]
sizes_px = [64, 96]
batches = [1, 2]
warm_ups = 1
repeats = 5
search_repeats = 1
teacher_also_steps = [2]
"""


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    for kind in ("flux-schnell", "flux-dev"):
        write(kind, folder / kind)
    settings = ResnetSettings(width=4, num_blocks=1, residual_output=True)
    Head(build_network(settings, seed=0), settings).save(folder / "head")
    Head(build_network(settings, seed=1), settings).save(folder / "other")
    path = folder / "preset.toml"
    path.write_text(PRESET.format(folder=folder))
    return path


def test_every_row_is_timed_once(preset: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    argv = ["benchmark", str(preset), "--head", str(preset.parent / "head"), "--out", str(out)]
    assert main([*argv, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = {(one["what"], one["size_px"]): one for one in told["timings"]}
    assert {what for what, _ in rows} == {
        *("teacher", "teacher, 2 steps", "source", "source + head"),
        *("head, on the device", "head, PNG to PNG"),
    }
    assert len(rows) == len(told["timings"]) == 12
    assert all(len(one["seconds"]) == 5 and min(one["seconds"]) > 0 for one in rows.values())
    assert all(one["memory_bytes"] > 50_000_000 for one in rows.values())
    assert {one["size_px"] for one in told["savings"]} == {64, 96}
    assert told["record"]["stages"]["teacher, 2 steps"]["steps"] == 2
    # What was timed is not timed again, and what a kill left out is.
    kept = {path.name: path.read_bytes() for path in (out / "timings").glob("*.json")}
    (out / "timings/source-96.json").unlink()
    assert main([*argv, "--data-gpu-hours", "1.5", "--training-gpu-hours", "2"]) == 0
    again = {path.name: path.read_bytes() for path in (out / "timings").glob("*.json")}
    assert again.keys() == kept.keys()
    assert {name for name in kept if kept[name] != again[name]} == {"source-96.json"}
    assert "1.5 GPU-hours for the dataset" in capsys.readouterr().err
    assert (out / "figures/figure-8.svg").exists()
    assert "82 %" in (out / "report.md").read_text()
    # Times of another head do not come into one table with these.
    other = [*argv[:3], str(preset.parent / "other"), *argv[4:]]
    assert main(other) == 2
    assert "They differ in head" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("sizes_px = [64, 96]", "sizes_px = [64, 100]"), "should be different multiples of 16"),
        (("batches = [1, 2]", "batches = [2]"), "should begin with 1"),
        (("repeats = 5", "repeats = 2"), "repeats"),
        (("[stage.teacher]", "[stage.target]\nstrength = 0.5"), "has no [stage.teacher]"),
        (('device = "cpu"', 'device = "cuda"'), "no CUDA device is seen here"),
    ],
)
def test_what_cannot_be_timed(
    preset: Path, tmp_path: Path, capsys: Capture, change: tuple[str, str], told: str
) -> None:
    path = tmp_path / "preset.toml"
    text = preset.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    head = str(preset.parent / "head")
    assert main(["benchmark", str(path), "--head", head, "--out", str(tmp_path / "o")]) == 2
    assert told in capsys.readouterr().err


def test_what_the_head_has_cost_is_read_where_it_was_spent(
    preset: Path, tmp_path: Path, planned: Callable[..., Path], capsys: Capture
) -> None:
    data, run, out = planned(folder="d"), tmp_path / "run", tmp_path / "o"
    capsys.readouterr()
    line = '{{"kind": "shard-published", "shard": "train/{0}", "seconds": {1}}}\n'
    (data / "events.jsonl").write_text(line.format("a", 1000) + line.format("b", 800))
    (tmp_path / "d-sources").mkdir()
    (tmp_path / "d-sources/events-1-of-1.jsonl").write_text(line.format("a", 1800) + '{"kin')
    run.mkdir()
    (run / "metrics.jsonl").write_text('{"kind": "step", "device_s": 5400.0}\n{"kind": "st')
    argv = ["benchmark", str(preset), "--head", str(preset.parent / "head"), "--out", str(out)]
    told = ["--data", str(data), "--run", str(run), "--json"]
    assert main([*argv, *told]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["spent"] == {"data_gpu_hours": 1.0, "training_gpu_hours": 1.5}
    assert "1.0 GPU-hours for the dataset and 1.5 for training" in report["tables"][2]["note"]
    # Whoever knows better is believed.
    assert main([*argv, *told, "--training-gpu-hours", "192"]) == 0
    assert json.loads(capsys.readouterr().out)["spent"]["training_gpu_hours"] == 192
    # A copy without its events, and a run that was begun before its time was told.
    (data / "events.jsonl").unlink()
    (run / "metrics.jsonl").write_text('{"kind": "step"}\n')
    assert main([*argv, *told]) == 0
    told_of = capsys.readouterr()
    assert "no event tells how long it took; give --data-gpu-hours" in told_of.err
    assert "does not tell device_s; give --training-gpu-hours" in told_of.err
    assert json.loads(told_of.out)["spent"] == dict.fromkeys(report["spent"])
    assert main([*argv, "--run", str(data)]) == 2
    assert "has no metrics.jsonl; give a folder that relume train made" in capsys.readouterr().err
    assert main([*argv, "--data", str(run)]) == 2
    assert "has no run.json" in capsys.readouterr().err


def test_a_head_that_is_not_there(preset: Path, tmp_path: Path, capsys: Capture) -> None:
    argv = ["benchmark", str(preset), "--out", str(tmp_path / "o"), "--head"]
    assert main([*argv, str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err
    argv += [str(preset.parent / "head"), "--data-gpu-hours", "nan"]
    assert main(argv) == 2
    assert "should be 0 or more" in capsys.readouterr().err
