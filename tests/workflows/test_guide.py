"""`relume guide`: trained, told, killed and continued to the same UNet; what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from models import whole_folder
from models.stable_diffusion.unet_folder import save_unet
from models.tiny.write import write
from schemas.guide import DinoDistance, L2Distance, guide_config
from schemas.selection import SELECTION_SCHEMA
from shards.provenance import ROOT
from shards.reader import Reader
from tasks.train_guidance import GuideJob
from tasks.training.ranks import Ranks
from tests.face_pictures import make_small_pairs, with_unit_latents
from workflows.cli import main
from workflows.guide import placed
from workflows.run_guide_training import RunGuideTraining

Capture = pytest.CaptureFixture[str]
WEIGHTS = "diffusion_pytorch_model.safetensors"
PRESET = """
[guide]
model = "{tiny}/unit"
revision = "tiny"
trained = "all"
epochs = 3
[guide.data]
batch_size = 2
accumulation = 2
loader_workers = 0
[guide.optimiser]
learning_rate = 1e-3
[guide.validation]
count = 12
[guide.numerics]
precision = "float32"
checkpointing = false
device = "cpu"
[guide.record]
save_every_steps = 2
log_every_steps = 2
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    for kind in ("deepface-onnx", "sd15", "dino"):
        write(kind, folder / kind)
    with_unit_latents(folder / "sd15", folder / "unit")
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    return make_small_pairs(tmp_path_factory.mktemp("pairs"), tiny)


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    path = tmp_path_factory.mktemp("preset") / "guide.toml"
    path.write_text(PRESET.format(tiny=tiny))
    return path


def guide(*words: object) -> int:
    return main(["guide", *map(str, words)])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, preset: Path, pairs: Path) -> Path:
    """Three epochs, undisturbed."""
    out = tmp_path_factory.mktemp("run") / "run"
    assert guide(preset, "--data", pairs, "--out", out) == 0
    return out


def told(run: Path, kind: str) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_a_run_publishes_a_unet_that_diffusers_loads(run: Path, tiny: Path) -> None:
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    unet, info = UNet2DConditionModel.from_pretrained(
        run / "unet", output_loading_info=True, local_files_only=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    pipeline = StableDiffusionPipeline.from_pretrained(tiny / "sd15", unet=unet)
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline("a face", num_inference_steps=2, height=64, width=64, output_type="np").images
    assert drawn.shape == (1, 64, 64, 3)
    facts = json.loads((run / "unet" / "relume.json").read_text())
    assert (facts["method"], facts["pairs_seen"], facts["epochs"]) == ("guidance", 60, 3)
    assert "base_model" in (run / "unet" / "README.md").read_text()
    assert "_name_or_path" not in json.loads((run / "unet" / "config.json").read_text())


def test_held_out_pairs_get_better(run: Path) -> None:
    losses = [line["loss"] for line in told(run, "epoch")]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert {"loss", "gradient unet", "learning_rate"} <= told(run, "step")[0].keys()


def test_killed_and_continued_it_is_the_same(
    run: Path, preset: Path, pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = [str(one) for one in (preset, "--data", pairs, "--out", out)]
    command = [sys.executable, "-m", "workflows.guide", *words]
    environment = os.environ | {"PYTHONPATH": "."}
    driver = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while driver.poll() is None and steps_saved(out) < 6:
        time.sleep(0.005)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert 0 < steps_saved(out) < 15
    assert guide(*words) == 0
    ours, theirs = (load_file(one / "unet" / WEIGHTS) for one in (out, run))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert told(out, "epoch")[-1]["loss"] == told(run, "epoch")[-1]["loss"]


def steps_saved(run: Path) -> int:
    last = run / "state" / "LAST"
    return int(json.loads(last.read_text())["steps_done"]) if last.exists() else 0


def test_only_self_attention_changes_and_the_rest_is_the_base(
    preset: Path, pairs: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ("--trained", "attn1", "--epochs", "1", "--numerics.precision", "bfloat16")
    assert guide(preset, "--data", pairs, "--out", out, *words) == 0
    ours, base = (load_file(one / "unet" / WEIGHTS) for one in (out, tiny / "unit"))
    changed = {name for name in ours if not torch.equal(ours[name], base[name])}
    assert changed
    assert all(".attn1." in name for name in changed)


def test_two_processes_learn_together(preset: Path, pairs: Path, run: Path, tmp_path: Path) -> None:
    """Half of the pairs each: the same steps, and nearly the same weights."""
    out = tmp_path / "run"
    words = ("--processes", "2", "--data.accumulation", "1", "--epochs", "1")
    assert guide(preset, "--data", pairs, "--out", out, *words) == 0
    one, other = (told(each, "epoch")[0]["loss"] for each in (out, run))
    assert one == pytest.approx(other, rel=0.05)


def test_presets_are_the_papers() -> None:
    for name, rate in (("guide_sd15", 1e-5), ("guide_rv51", 1e-6)):
        config = guide_config(ROOT / "configs" / f"{name}.toml", {})
        assert config.optimiser.learning_rate == rate
        assert (config.t_end, config.trained, config.distance) == (500, "attn1", L2Distance())
        assert (config.data.batch_size, config.data.accumulation) == (2, 8)
        assert config.data.text_dropout == 0.2
    of_dino = guide_config(ROOT / "configs" / "guide_rv51.toml", {"distance": {"kind": "dino"}})
    assert isinstance(of_dino.distance, DinoDistance)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--t-end", "1001"], "t_end"),
        (
            ["--model", "nowhere"],
            "'nowhere': no such folder, and no hub id either; correct guide.model",
        ),
        (["--distance.kind", "dino", "--distance.model", "/nowhere"], "/nowhere"),
        (["--data.accumulation", "100"], "20 pairs of train do not fill a step of 200"),
        (["--numerics.precision", "float16"], "precision"),
        (["--wait"], "belong to --launcher slurm"),
    ],
)
def test_what_cannot_be_is_told(
    preset: Path, pairs: Path, tmp_path: Path, words: list[str], said: str, capsys: Capture
) -> None:
    assert guide(preset, "--data", pairs, "--out", tmp_path / "run", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run" / "unet").exists()


def test_other_datasets_and_settings_are_refused(
    preset: Path, pairs: Path, run: Path, tmp_path: Path, capsys: Capture
) -> None:
    pictures = pairs.parent / "pictures"
    assert guide(preset, "--data", pictures, "--out", tmp_path / "run") == 2
    assert (
        "has no pictures of stage good; guidance learns from relume facepairs' pairs"
        in capsys.readouterr().err
    )
    assert guide(preset, "--data", pairs, "--out", run, "--t-end", "250") == 2
    assert "choose another --out" in capsys.readouterr().err
    (tmp_path / "other.toml").write_text("[train]\n")
    assert guide(tmp_path / "other.toml", "--data", pairs, "--out", tmp_path / "run") == 2
    assert "has no [guide] section" in capsys.readouterr().err


def test_slurm_is_asked_with_the_same_command(
    preset: Path, pairs: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = ("--launcher", "slurm", "--dry-run", "--slurm.gpus-per-node", "2")
    assert guide(preset, "--data", pairs, "--out", tmp_path / "run", *words) == 0
    script = capsys.readouterr().out
    assert "relume guide" in script
    assert "gpus-per-node=2" in script or "gpu:2" in script or "gres" in script


def test_a_job_finds_the_models_wherever_it_starts(
    preset: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny)
    over = {"model": "unit", "distance": {"kind": "dino", "model": "dino", "revision": "tiny"}}
    config = placed(guide_config(preset, over))
    assert config.model == str(tiny / "unit")
    assert config.distance == DinoDistance(model=str(tiny / "dino"), revision="tiny")
    run = tmp_path / "run"
    work = RunGuideTraining(config=config, dataset=tmp_path, run=run, selection=None, stage_to=None)
    monkeypatch.chdir(tmp_path)
    assert set(work.reads) == {tmp_path, tiny / "unit", tiny / "dino"}


def test_a_selection_dino_and_a_copy_on_the_node(
    preset: Path, pairs: Path, tiny: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Eight chosen pairs of train and one that is not of it, compared by DINO."""
    train, other = Reader(pairs, "train"), Reader(pairs, "validation")
    ids = [*train.rows["id"].to_pylist()[:8], other.rows["id"][0].as_py()]
    table = pa.Table.from_pylist(
        [{"id": one, "selected": True, "reason": None} for one in ids], schema=SELECTION_SCHEMA
    )
    pq.write_table(table, tmp_path / "chosen.parquet")
    out = tmp_path / "run"
    words = ["--selection", tmp_path / "chosen.parquet", "--stage-to", tmp_path / "local"]
    words += ["--distance.kind", "dino", "--distance.model", tiny / "dino", "--epochs", "1"]
    words += ["--validation.publish", "best"]
    assert guide(preset, "--data", pairs, "--out", out, *words) == 0
    told = capsys.readouterr()
    assert "8 samples" in told.err
    assert "leaves out 1 sample of the selection" in told.err
    assert list((tmp_path / "local").rglob("*.tar"))
    record = json.loads((out / "run.json").read_text())
    assert record["inputs"].keys() == {"model", "dino"}
    assert (out / "unet" / WEIGHTS).exists()


def test_what_only_the_course_can_tell(preset: Path, pairs: Path, tmp_path: Path) -> None:
    job = GuideJob(config=guide_config(preset, {}), dataset=pairs, run=tmp_path / "run")
    assert job.num_steps(1) == 15
    assert job.shards() == sorted(job.shards())
    assert job.reading(tmp_path).dataset == tmp_path
    course = job.course(Ranks(), torch.device("cpu"))
    assert course.measure(1) is not None
    seldom = guide_config(preset, {"validation": {"every_epochs": 2, "publish": "best"}})
    course._config = seldom
    assert course.measure(1) is None
    course.keep(2, 8, best=False)
    assert not (tmp_path / "run" / "unet").exists()
    with pytest.raises(ValueError, match=r"guide\.t_end = 500: .* has 100 steps of noise"):
        course._refuse_other_size(100)
    no_validation = tmp_path / "alone"
    shutil.copytree(pairs, no_validation)
    rows = pq.read_table(no_validation / "manifest.parquet")
    pq.write_table(
        rows.filter(pc.equal(rows["split"], "train")), no_validation / "manifest.parquet"
    )
    with pytest.raises(ValueError, match="has no pair in validation"):
        job.reading(no_validation).course(Ranks(), torch.device("cpu"))


def test_held_out_pairs_that_cannot_be_read_stop_it_or_are_told(
    preset: Path, pairs: Path, tmp_path: Path, capsys: Capture
) -> None:
    broken = Path(shutil.copytree(pairs, tmp_path / "broken"))
    reader = Reader(broken, "validation")
    row = reader.row(0)
    with (broken / f"{row['shard']}.tar").open("r+b") as file:
        file.seek(row["bad_offset"] + 60)
        file.write(b"XXXX")
    words = (preset, "--data", broken, "--epochs", "1")
    assert guide(*words, "--out", tmp_path / "stops") == 2
    assert f"{row['id']}: the bad cannot be read" in capsys.readouterr().err
    assert guide(*words, "--out", tmp_path / "skips", "--data.damaged", "skip") == 0
    num = min(12, len(reader))
    said = f"1 of {num} pairs of validation cannot be read, and were not measured"
    assert said in capsys.readouterr().err
    assert (tmp_path / "skips" / "unet" / WEIGHTS).exists()


def test_a_unet_is_written_whole_or_not_at_all(
    run: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, base = tmp_path / "unet", tiny / "unit" / "unet"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    with pytest.raises(ValueError, match="is there and no UNet of Relume"):
        save_unet(folder, base, {}, {}, "card")
    shutil.rmtree(folder)
    save_unet(folder, base, {}, {"first": True}, "card")

    def no_place(path: Path) -> None:
        if path == folder.parent:
            raise OSError("full")

    monkeypatch.setattr(whole_folder, "_sync", no_place)
    with pytest.raises(OSError, match="full"):
        save_unet(folder, base, {}, {"first": False}, "card")
    assert [path.name for path in tmp_path.iterdir()] == ["unet"]
