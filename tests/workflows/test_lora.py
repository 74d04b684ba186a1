"""`relume lora` from a command line: killed at any moment it ends with the same adapter."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.captioner import clip_length
from models.tiny.write import write
from schemas.lora import lora_config
from shards.plan import read_plan
from tasks.training.ranks import Ranks
from tests.presets import LORA
from workflows import cli
from workflows.console import Console
from workflows.run_lora_training import RunLoraTraining

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preset")
    model = write("sd15", folder / "sd15")
    path = folder / "small.toml"
    path.write_text(LORA.format(model=model))
    return path


def words(preset: Path, dataset: Path, run: Path, *options: str) -> list[str]:
    return [str(preset), "--data", str(dataset), "--out", str(run), *options]


def steps_saved(run: Path) -> int:
    try:
        return int(json.loads((run / "state/LAST").read_text())["steps_done"])
    except FileNotFoundError:
        return 0


def test_killed_in_the_middle_it_ends_with_the_same_adapter(
    preset: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "workflows.lora", *words(preset, finished, killed)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    while steps_saved(killed) < 5:  # in the second epoch of the first phase
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 5 <= steps_saved(killed) < 12
    assert not (killed / "sheet.png").exists() or not (killed / "previews/epoch-0004.png").exists()
    for run in (killed, whole):
        assert cli.main(["lora", *words(preset, finished, run)]) == 0
    torch.set_num_threads(threads)
    said = capsys.readouterr()
    assert f"adapter  {killed / 'adapter'}" in said.out
    assert "continues after step" in said.err
    for name in (
        "adapter/pytorch_lora_weights.safetensors",
        "adapter/kohya.safetensors",
        "adapter/config.json",
        "sheet.png",
        "previews/epoch-0004.png",
    ):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    steps = [
        json.loads(line)["step"] for line in (killed / "metrics.jsonl").read_text().splitlines()
    ]
    assert steps == sorted(set(steps))


def test_mistakes_are_one_line(
    preset: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options, told in (
        (["--adapter.rank", "0"], "adapter.rank = 0"),
        (["--adapter.rankk", "4"], "rankk"),
        (["--model", "nowhere/at/all"], "correct lora.model"),
        (["--numerics.precision", "float16"], "no GPU is seen"),
        (["--captions", str(tmp_path / "none")], "has no captions.json"),
        (["--data.stage", "source", "--wait"], "belong to --launcher slurm"),
    ):
        assert cli.main(["lora", *words(preset, finished, tmp_path / "run", *options)]) == 2
        said = capsys.readouterr().err
        assert told in said
        assert "Traceback" not in said
    other = tmp_path / "other.toml"
    other.write_text("[train]\n")
    assert cli.main(["lora", *words(other, finished, tmp_path / "run")]) == 2
    assert "has no [lora] section" in capsys.readouterr().err


def test_a_job_for_slurm_is_the_same_verb(
    preset: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    options = ["--launcher", "slurm", "--dry-run", "--slurm.nodes", "2"]
    assert cli.main(["lora", *words(preset, finished, run, *options)]) == 0
    script = capsys.readouterr().out
    assert f"relume lora {run}" in script
    assert "--nodes=2" in script


def test_the_papers_preset_is_the_papers() -> None:
    from schemas.lora import LoraConfig, lora_config

    config = lora_config(ROOT / "configs" / "lora.toml", {})
    assert (config.adapter.rank, config.adapter.alpha, config.adapter.dropout) == (16, 32, 0.1)
    assert len(config.adapter.targets) == 9
    assert config.data.step_images == 16
    phases = -(-(config.data.images or 0) // config.data.phase_images)
    assert (phases, phases * config.data.phase_epochs) == (6, 30)
    assert config.optimiser.learning_rate == 5e-5
    assert (config.numerics.precision, config.numerics.checkpointing) == ("float16", True)
    # What is not in the file is the paper's by default.
    assert LoraConfig(model="x").adapter == config.adapter


def test_a_sweep_of_ranks_and_rates_ends_in_a_table(
    preset: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    file = preset.parent / "sweep.toml"
    file.write_text(
        f"""
[lora_sweep]
preset = "{preset.name}"
axes = {{"adapter.rank" = [1, 2], "optimiser.learning_rate" = [1e-3, 2e-2]}}
[lora_sweep.over]
data = {{images = 8, batch_size = 4}}
preview = {{steps = 1}}
optimiser = {{warmup_steps = 0}}
"""
    )
    out = tmp_path / "sweep"
    words = ["sweep", str(file), "--data", str(finished), "--out", str(out)]
    assert cli.main([*words, "--show"]) == 1
    assert "4 cells not done" in capsys.readouterr().err
    assert cli.main(words) == 0
    torch.set_num_threads(threads)
    capsys.readouterr()
    # Again: everything is done, and only shown.
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "learning_rate 0.001" in said
    runs = sorted(path.name for path in out.iterdir() if path.is_dir() and path.name[0] == "r")
    assert runs == [
        "rank-1-learning_rate-0.001-seed-0",
        "rank-1-learning_rate-0.02-seed-0",
        "rank-2-learning_rate-0.001-seed-0",
        "rank-2-learning_rate-0.02-seed-0",
    ]
    losses = {
        name: json.loads((out / name / "metrics.jsonl").read_text().splitlines()[-1])["loss"]
        for name in runs
    }
    least = min(losses.values())
    assert f"{least:.4f}*" in said
    assert all(f"{loss:.4f}" in (out / "tables.md").read_text() for loss in losses.values())
    # A higher rate learns more in so few steps.
    assert losses[runs[3]] < losses[runs[2]]
    slurm = [*words[:-1], str(tmp_path / "other"), "--launcher", "slurm", "--dry-run"]
    assert cli.main(slurm) == 0
    assert "--array=0-3%4" in capsys.readouterr().out


def test_mistakes_in_a_sweep_are_one_line(
    preset: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = preset.parent / "wrong.toml"
    for text, told in (
        ('axes = {"adapter.rankk" = [1]}', "rankk"),
        ('axes = {"adapter.rank" = [1.5]}', "adapter.rank"),
        ("axes = {}", "axes"),
    ):
        file.write_text(f'[lora_sweep]\npreset = "{preset.name}"\n{text}\n')
        words = ["sweep", str(file), "--data", str(finished), "--out", str(tmp_path / "out")]
        assert cli.main(words) == 2
        assert told in capsys.readouterr().err


def test_the_sweep_of_the_house_is_readable() -> None:
    from schemas.lora_sweep import read_lora_sweep

    _, _, cells = read_lora_sweep(ROOT / "configs" / "lora_sweep.toml")
    assert len({cell.name for cell in cells}) == 12
    assert {cell.config.adapter.rank for cell in cells} == {4, 8, 16, 32}
    assert {cell.config.data.images for cell in cells} == {10_000}


def test_the_model_of_the_preset_is_what_is_fetched(
    preset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["fetch", str(preset)]) == 0
    assert "is a folder, nothing to fetch" in capsys.readouterr().out


def test_fewer_pictures_than_asked_for_are_told(
    preset: Path, generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = lora_config(preset, {"data": {"images": 5000}})
    run = tmp_path / "run"
    work = RunLoraTraining(config=config, dataset=generated, captions=None, run=run)
    work.agree(1, Console())
    told = re.search(r"asks for 5,000 pictures, and (\d+) can be learned", capsys.readouterr().err)
    assert told is not None
    train = [one for one in read_plan(generated)["split"].to_pylist() if one == "train"]
    assert int(told[1]) == len(train)


def test_texts_whose_end_is_not_learned_are_counted(
    preset: Path,
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = lora_config(preset, {})
    work = RunLoraTraining(config=config, dataset=finished, captions=None, run=tmp_path / "run")

    def said(run: Path) -> str:
        replace(work, run=run).agree(1, Console())
        return capsys.readouterr().err

    assert "tokens" not in said(tmp_path / "whole")
    texts = work.job().samples(Ranks()).texts()
    # The tokens that begin and end a text alone.
    monkeypatch.setattr(clip_length, "MOST_TOKENS", 2)
    told = f"{len(texts)} of {len(texts)} texts have more than 2 tokens: their ends are not learned"
    assert told in said(work.run)
    assert "tokens" not in said(work.run)  # told once, where the run begins
