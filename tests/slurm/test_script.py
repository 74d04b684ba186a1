"""The batch script as text: golden files, and no Slurm needed.

After a wanted change: RELUME_GOLDEN=write pytest tests/slurm/test_script.py
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from schemas.slurm import SlurmSettings, slurm_settings
from slurm.submit import JobRequest, sbatch_script, told_refusal
from workflows import train

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
PYTHON = "/home/me/relume/.venv/bin/python"
SITE = SlurmSettings(
    nodes=2,
    gpus_per_node=8,
    cpus_per_task=6,
    memory_gb=500,
    hours=4,
    partition="gpu",
    account="physics",
    qos="long",
    constraint="a100&nvlink",
    modules=("cuda/12.4", "apptainer"),
    environment={"NCCL_SOCKET_IFNAME": "ib0", "NOTE": "two words"},
    wrapper=("apptainer", "exec", "--nv", "/images/relume.sif"),
    python="/opt/venv/bin/python",
    options={"exclude": "node7", "mail-type": "FAIL"},
)


def paper() -> SlurmSettings:
    return slurm_settings(ROOT / "configs/esa_cyclegan.toml", {"python": PYTHON})


def request(settings: SlurmSettings, cells: int = 1) -> JobRequest:
    folder = Path("/scratch/runs/esa")
    runs = tuple(folder / f"cell-{number}" for number in range(cells)) if cells > 1 else (folder,)
    return JobRequest(
        name="relume-esa",
        comment="relume train /scratch/runs/esa",
        folder=folder,
        runs=runs,
        reads=(Path("/scratch/enhanced"),),
        settings=settings,
        at_once=4 if cells > 1 else None,
    )


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("paper", lambda: request(paper())),
        ("site", lambda: request(SITE)),
        ("array", lambda: request(SlurmSettings(python=PYTHON), cells=12)),
    ],
)
def test_as_it_was(name: str, made: object) -> None:
    assert callable(made)
    script, path = sbatch_script(made()), GOLDEN / f"{name}.sbatch"
    if os.environ.get("RELUME_GOLDEN") == "write":
        path.write_text(script)
    assert script == path.read_text()
    subprocess.run(["bash", "-n", path], check=True)


def test_the_papers_run_is_the_preset() -> None:
    settings = paper()
    assert (settings.nodes, settings.processes_per_node, settings.processes) == (4, 4, 16)
    assert settings.minutes == 12 * 60


def test_dry_run_prints_it_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["configs/esa_cyclegan.toml", "--data", "nowhere", "--out", str(tmp_path / "run")]
    options = ["--launcher", "slurm", "--dry-run", "--slurm.account", "physics"]
    assert train.main([*words, *options]) == 0
    said = capsys.readouterr().out
    assert "#SBATCH --account=physics" in said
    assert "#SBATCH --nodes=4" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "sbatch: error: Batch job submission failed: Invalid account or account/partition "
            "combination specified",
            "slurm.account = 'physics': Slurm refuses it: Batch job submission failed: Invalid "
            "account or account/partition combination specified; ask the site for another",
        ),
        ("sbatch: error: invalid qos specification", "slurm.qos = 'long': Slurm refuses it"),
        ("sbatch: error: Unable to contact controller", "slurm: the job is refused: Unable"),
    ],
)
def test_refusals_name_the_setting(said: str, told: str) -> None:
    assert told in told_refusal(said, SITE)
