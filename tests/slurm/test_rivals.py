"""Whatever is learned, Slurm is asked, preempts and continues alike: a LoRA for all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.tiny.write import write
from tests.presets import LORA
from tests.slurm.conftest import submit
from tests.slurm.lab import Lab
from tests.training_runs import differing, state_of
from workflows.cli import main

SLURM = """
[slurm]
nodes = 2
gpus_per_node = 1
cpus_per_task = 1
hours = 1
save_before_end_s = 1200
"""
ADAPTER = "adapter/pytorch_lora_weights.safetensors"


def test_a_lora_is_preempted_and_ends_with_the_same_adapter(
    lab: Lab,
    pairs: Path,
    shared: Path,
    braked: Callable[[int], Path],
    tmp_path: Path,
) -> None:
    folder = shared / "lora"
    model = write("sd15", folder / "sd15")
    (folder / "small.toml").write_text(LORA.format(model=model) + SLURM)
    whole, run = folder / "whole", folder / "run"
    words = [str(folder / "small.toml"), "--data", str(pairs)]
    assert main(["lora", *words, "--out", str(whole), "--processes", "2"]) == 0
    held = ["--launcher", "slurm", "--slurm.wrapper", str(braked(4))]
    job = submit(lab, run, [*words, "--out", str(run), *held], tmp_path / "brake", verb="lora")
    job.wait_at_brake(ranks=2)
    lab.preempt()
    job.wait_for_end()
    assert job.ends() == ["preempted", "finished"], job.log()
    assert differing(run, state_of(whole), but="chance") == []
    assert (run / ADAPTER).read_bytes() == (whole / ADAPTER).read_bytes()
