"""`relume evaluate` with every network of the table, as tiny checkpoints in the real layouts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.tiny.write import write
from shards.encoding import read_parquet
from tests.heads import small_head
from workflows.cli import main

TINY = """
seed = 2

[generator]
kind = "diffusers"
dtype = "float32"
device = "cpu"

[stage.source]
model = "{tiny}/flux-schnell"
revision = "tiny"
steps = 1

[stage.target]
model = "{tiny}/flux-dev"
revision = "tiny"
steps = 2
guidance = 3.0
strength = 0.7

[split]
train = 0
validation = 0
test = 1

[dataset.pairs]
prompt = "A portrait"
count = 40
stages = ["source", "target"]
size_px = 64
shard_size = 16
batch_size = 8

[evaluate]
data = "pairs"
draws = 8
pictures_per_prompt = 4

[[evaluate.network]]
kind = "inception"
weights = "{tiny}/inception"
taps = [64, 2048]

[[evaluate.network]]
kind = "dinov2"
model = "{tiny}/dinov2"

[[evaluate.network]]
kind = "cmmd"
model = "{tiny}/clip"

[[evaluate.network]]
kind = "clip_iqa"
model = "{tiny}/clip"

[[evaluate.network]]
kind = "pairs"
lpips = "vgg"
weights = "{tiny}/lpips"

[[evaluate.network]]
kind = "detail"

[[evaluate.network]]
kind = "identity"

[evaluate.network.faces]
weights = "{tiny}/deepface-onnx"

[[evaluate.network]]
kind = "face_score"
model = "{tiny}/facescore"

[evaluate.network.faces]
weights = "{tiny}/deepface-onnx"
min_confidence = 0.9

[[evaluate.row]]
kind = "head"
name = "a head"
head = "head"
"""


def test_real_networks_in_miniature_and_prompts_outside_the_domain(tmp_path: Path) -> None:
    tiny = tmp_path / "tiny"
    networks = ("inception", "dinov2", "clip", "lpips", "deepface-onnx", "facescore")
    for kind in (*networks, "flux-schnell", "flux-dev"):
        write(kind, tiny / kind)
    config = tmp_path / "tiny.toml"
    config.write_text(TINY.format(tiny=tiny))
    data = tmp_path / "pairs"
    assert main(["plan", str(config), "--dataset", "pairs", "--out", str(data)]) == 0
    assert main(["generate", "--here", str(data)]) == 0
    small_head(tmp_path / "head", trained_on=["a"])
    lines = Path("configs/prompts/animals.txt").read_text().splitlines()[:13]
    (tmp_path / "animals.txt").write_text("\n".join(lines))
    out = tmp_path / "out"
    words = ["--root", str(tmp_path), "--out", str(out), "--here"]
    words += ["--prompts", str(tmp_path / "animals.txt")]
    assert main(["evaluate", str(config), *words]) == 0
    report = json.loads((out / "report.json").read_text())
    told = report["evaluation"]
    assert told["headline"] == "inception-clean/2048"
    assert set(told["gaps"]["target"]) == {"inception-clean/2048", "inception-clean/64", "dinov2"}
    assert told["rows"]["a head"]["flags"] == ["other source"]
    assert told["nearness"]["target"]["a head"]["cmmd"] is not None
    assert 0 < told["looks"]["a head"]["means"]["clip_iqa"]["value"] < 1
    assert told["looks"]["a head"]["means"]["lpips_source"]["value"] > 0
    assert len(told["networks"]["inception-clean"]["weights"]) == 1
    kept = told["looks"]["source"]["identity"]
    assert kept["num"] == 40
    assert kept["lost"] == kept["found"] == 0
    assert kept["mean"] is None or kept["mean"] == pytest.approx(1)
    scored = told["looks"]["source"]["means"]
    assert (scored["face_score"]["value"] is None) == (scored["faces_scored"]["value"] == 0)
    assert any("pictures for 24 features" in one for one in told["cautions"])
    assert set(told["prompts"]) == {"animals"}
    assert told["prompts"]["animals"]["num"] == 48
    assert [row["row"] for row in told["prompts"]["animals"]["rows"]] == ["a head"]
    titles = [table["title"] for table in report["tables"]]
    assert {"Outside the domain", "Every network and tap"} <= set(titles)
    columns = report["tables"][titles.index("Pictures")]["columns"]
    assert {"CLIP-IQA", "Face Score", "with a face"} <= set(columns)
    rows = read_parquet(out / "prompts/animals/manifest.parquet").to_pylist()
    assert {row["prompt"] for row in rows} == {line for line in lines if not line.startswith("#")}
