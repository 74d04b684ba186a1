"""The table of a sweep of LoRAs: means of seeds, the least with a star, dashes for what runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from schemas.lora import LoraConfig, LoraValidationSettings
from schemas.lora_sweep import LoraCell, LoraSweep
from tasks.sweep.lora_table import lora_result, lora_sweep_table

AXES: dict[str, tuple[float, ...]] = {"adapter.rank": (4, 8)}


def write_losses(run: Path, losses: Sequence[float]) -> None:
    """The metrics of a run, with a line that is still being written."""
    run.mkdir()
    lines = [
        json.dumps({"kind": "epoch", "epoch": epoch, "loss": loss})
        for epoch, loss in enumerate(losses, 1)
    ]
    (run / "metrics.jsonl").write_text("\n".join([*lines, '{"kind": "st']))


def test_seeds_are_averaged_and_what_runs_has_a_dash(tmp_path: Path) -> None:
    sweep = LoraSweep(preset="x.toml", axes=AXES, seeds=(0, 1))
    results = []
    for rank, seed, losses in ((4, 0, (0.3, 0.2)), (4, 1, (0.3, 0.1)), (8, 0, (0.4,))):
        values = {"adapter.rank": float(rank)}
        cell = LoraCell(values=values, seed=seed, config=LoraConfig(model="x"))
        run = tmp_path / cell.name
        write_losses(run, losses)
        results.append(lora_result(cell, run, 2))
    assert [one.done for one in results] == [True, True, False]
    table = lora_sweep_table(sweep, results)
    assert table.head == ("rank", "loss")
    assert table.rows == (("4", "0.1500*"), ("8", "-"))
    assert "differ by 0.1000 at most" in table.note


@pytest.mark.parametrize(
    ("patience", "losses", "done"),
    [
        (2, (0.3, 0.2, 0.21, 0.2), True),  # as good as the best is not better
        (2, (0.3, 0.2, 0.21), False),
        (2, (0.3, 0.2, 0.21, 0.19), False),
        (None, (0.1, 0.2, 0.3, 0.4), False),
        (2, (), False),
    ],
)
def test_a_cell_that_converged_is_done(
    patience: int | None, losses: tuple[float, ...], done: bool, tmp_path: Path
) -> None:
    """Of five epochs: it ends where nothing better came for as long as it waits."""
    validation = LoraValidationSettings(patience=patience)
    config = LoraConfig(model="x", validation=validation)
    cell = LoraCell(values={"adapter.rank": 4.0}, seed=0, config=config)
    write_losses(tmp_path / "run", losses)
    result = lora_result(cell, tmp_path / "run", 5)
    assert result.done is done
    table = lora_sweep_table(LoraSweep(preset="x.toml", axes={"adapter.rank": (4,)}), [result])
    assert table.rows == (("4", f"{losses[-1]:.4f}*" if done else "-"),)
