"""`relume sweep` without Slurm: both phases, failures, and the same command again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workflows import cli

PRESET = """
[train.network]
kind = "resnet"
width = 4
num_blocks = 1
residual_output = true
[train.objective]
kind = "cyclegan"
discriminator = {width = 4, num_layers = 2}
[[train.phase]]
epochs = 9
[train.data]
loader_workers = 0
pairing = "shuffled"
[train.validation]
count = 2
grid = 1
[train.record]
log_every_steps = 1
"""
SWEEP = """
[sweep]
finalists = 1
identity_floor = 0.1
[[sweep.grid]]
name = "cyclegan"
title = "Table 2: CycleGAN"
preset = "tiny.toml"
axes = {"objective.lambda_cycle" = [10, 2], "optimiser.learning_rate" = [1e-4]}
[[sweep.grid]]
name = "wild"
title = "Diverges"
preset = "tiny.toml"
axes = {"optimiser.max_gradient_norm" = [1e-12]}
[sweep.screen]
phase = [{epochs = 1, batch_size = 8}]
[sweep.final]
phase = [{epochs = 1, batch_size = 4}]
seeds = [0, 1]
[slurm]
hours = 1
"""


@pytest.fixture
def words(finished: Path, tmp_path: Path) -> list[str]:
    (tmp_path / "tiny.toml").write_text(PRESET)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    out = str(tmp_path / "sweep")
    return ["sweep", str(tmp_path / "sweep.toml"), "--data", str(finished), "--out", out]


def test_both_phases_and_a_cell_that_fails(
    words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 1
    said = capfd.readouterr()
    assert "1 cell failed; the same command tries them again" in said.err
    assert "1 cell not done, for example screen/wild-max_gradient_norm-1e-12-seed-0" in said.err
    assert "Table 2: CycleGAN, screen" in said.out
    kept = tmp_path / "sweep/screen/cyclegan-lambda_cycle-10-learning_rate-0.0001-seed-0"
    before = (kept / "metrics.jsonl").read_bytes()
    # Mended, the same command trains that cell alone, and then the finalists.
    mended = (tmp_path / "sweep.toml").read_text().replace("[1e-12]", "[1e6]")
    (tmp_path / "sweep.toml").write_text(mended)
    assert cli.main(words) == 0
    said = capfd.readouterr()
    assert "The choice, final" in said.out
    assert (kept / "metrics.jsonl").read_bytes() == before
    finals = sorted(path.name for path in (tmp_path / "sweep/final").iterdir())
    assert [name[-6:] for name in finals] == ["seed-0", "seed-1"]
    assert (tmp_path / "sweep/tables.md").read_text().startswith("# Sweep\n")
    assert (tmp_path / "sweep/sweep.png").exists()


def test_tables_are_shown_where_no_cell_may_go_on(
    words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "sweep.toml"
    floor = sweep.read_text().replace("identity_floor = 0.1", "identity_floor = 1.0")
    sweep.write_text(floor.replace("[1e-12]", "[1e6]"))
    assert cli.main(words) == 2
    said = capfd.readouterr()
    assert "Table 2: CycleGAN, screen" in said.out
    assert "error: sweep.identity_floor = 1: no cell keeps that much of its sources" in said.err
    assert (tmp_path / "sweep/tables.md").exists()


def test_an_array_is_printed(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--launcher", "slurm", "--dry-run", "--slurm.partition", "gpu"]
    assert cli.main([*words, *options]) == 0
    said = capfd.readouterr().out
    assert "#SBATCH --array=0-2%3" in said
    assert "#SBATCH --partition=gpu" in said


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seed", "1"], "--seed: unknown option; settings of cells stand in the file"),
        (["--slurm.nodse", "1"], "did you mean 'nodes'?"),
        (["--launcher", "slurm"], "no sbatch on this machine"),
    ],
)
def test_wrong_words(
    options: list[str],
    told: str,
    words: list[str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert cli.main([*words, *options]) == 2
    assert told in capfd.readouterr().err


def test_jobs_of_a_run_that_was_never_submitted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["jobs", str(tmp_path)]) == 2
    assert "no job was submitted for it" in capfd.readouterr().err
    (tmp_path / "slurm").mkdir()
    line = {"job": "1", "name": "x", "submitted": "", "runs": [str(tmp_path)], "array": False}
    (tmp_path / "slurm/submitted.jsonl").write_text(json.dumps(line) + "\n")
