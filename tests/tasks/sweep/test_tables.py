"""What the cells of a sweep have reached: the paper's tables, and a choice that is another."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.sweep import Cell, SweepConfig, cells_of, read_sweep
from tasks.sweep.results import CellResult, finalists, result_of, standings
from tasks.sweep.tables import draw_sweep, sweep_tables
from tasks.text_tables import page

ROOT = Path(__file__).parents[3]
SWEEP = ROOT / "configs/sweep.toml"


@pytest.fixture(scope="module")
def sweep() -> SweepConfig:
    return read_sweep(SWEEP)[0]


@pytest.fixture(scope="module")
def cells(sweep: SweepConfig) -> list[Cell]:
    return cells_of(sweep, "screen", SWEEP)


def tell(run: Path, losses: list[float], closures: list[float], identity: float = 0.95) -> None:
    run.mkdir(parents=True)
    lines = []
    for epoch, (loss, closure) in enumerate(zip(losses, closures, strict=True)):
        for step, noise in enumerate((-0.1, 0.1)):
            parts = {"gan_target": 0.4, "gan_source": 0.3, "cycle": loss / 10}
            lines.append({"kind": "step", "step": 2 * epoch + step, "epoch": epoch})
            lines[-1] |= {"loss": loss + noise, **parts}
        measured = {"closure": closure, "ssim_cycle": 0.9, "ssim_source": identity}
        lines.append({"kind": "epoch", "step": 2 * epoch + 2, "epoch": epoch + 1} | measured)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (run / "metrics.jsonl").write_text(text + '{"kind": "step", "st')


def test_the_papers_twelve_cells(cells: list[Cell], sweep: SweepConfig) -> None:
    assert len(cells) == 12
    assert len({cell.name for cell in cells}) == 12
    (one,) = [
        cell for cell in cells if cell.place == "esa_cyclegan-lambda_cycle-2-learning_rate-0.0001"
    ]
    assert one.config.objective.lambda_cycle == 2  # type: ignore[union-attr]
    assert one.config.network.attention == "esa"  # type: ignore[union-attr]
    assert one.config.phase[0].crop_px == 256
    final = cells_of(sweep, "final", SWEEP)
    assert len(final) == 36
    assert {cell.config.seed for cell in final} == {0, 1, 2}
    assert {(cell.config.phase[0].fraction, cell.config.phase[0].crop_px) for cell in final} == {
        (0.2, 512)
    }


def test_what_a_cell_has_reached(cells: list[Cell], tmp_path: Path) -> None:
    tell(tmp_path / "run", [1.5, 0.8, 1.2], [0.1, 0.6, 0.3])
    found = result_of(cells[0], tmp_path / "run")
    assert found.loss == pytest.approx(0.8)
    assert found.parts == pytest.approx({"gan_target": 0.4, "gan_source": 0.3, "cycle": 0.08})
    assert (found.closure, found.identity, found.epochs) == (0.6, 0.95, 3)
    assert not found.done
    nothing = result_of(cells[0], tmp_path / "nowhere")
    assert math.isnan(nothing.loss)
    assert nothing.epochs == 0


def result(cell: Cell, closure: float, identity: float = 0.95, loss: float = 1.0) -> CellResult:
    return CellResult(cell, cell.config.epochs, loss, {}, 0.95, closure, identity)


def test_the_choice_is_by_closure_and_not_by_loss(cells: list[Cell], sweep: SweepConfig) -> None:
    results = [
        result(cells[0], 0.5, loss=2.0),
        result(cells[1], 0.4, loss=0.1),
        result(cells[2], 0.9, identity=0.5),  # it makes other people
    ]
    chosen = standings(results, sweep.identity_floor)
    assert [one.place for one in chosen] == [cells[0].place, cells[1].place]
    assert finalists(results, sweep) == [cells[0].place, cells[1].place]
    with pytest.raises(ValueError, match="no cell keeps that much of its sources"):
        finalists([results[2]], sweep)


def test_what_lies_within_the_seeds_spread_is_a_tie(sweep: SweepConfig) -> None:
    final = cells_of(sweep, "final", SWEEP)
    first, second, third = final[0:3], final[3:6], final[6:9]
    results = [
        *(result(cell, value) for cell, value in zip(first, (0.60, 0.70, 0.65), strict=True)),
        *(result(cell, value) for cell, value in zip(second, (0.58, 0.57, 0.59), strict=True)),
        *(result(cell, value) for cell, value in zip(third, (0.40, 0.41, 0.42), strict=True)),
    ]
    ranked = standings(results, sweep.identity_floor)
    assert [one.tied for one in ranked] == [False, True, False]
    assert ranked[0].spread == pytest.approx(0.1)
    assert ranked[0].seeds == 3


def test_tables_of_a_sweep_that_still_runs(
    cells: list[Cell], sweep: SweepConfig, tmp_path: Path
) -> None:
    results = [result(cells[0], 0.5, loss=0.96)]
    results += [result_of(cell, tmp_path) for cell in cells[1:]]
    tables = sweep_tables(sweep, results)
    assert tables[0].title == "Table 2: CycleGAN, screen"
    assert tables[0].head == (
        "lambda",
        *(
            f"{what} at LR {rate}"
            for rate in ("0.0001", "0.0002", "0.0003")
            for what in ("L", "SSIM")
        ),
    )
    assert tables[0].rows[0] == ("10", "0.96", "0.95", "-", "-", "-", "-")
    assert "8 of 9 cells are not done" in tables[0].note
    text = page("Sweep", tables)
    assert "| 10 | 0.96 | 0.95 | - | - | - | - |" in text
    draw_sweep(results, tmp_path)
    assert (tmp_path / "sweep.png").stat().st_size > 10_000


def test_a_cell_that_has_converged_is_done(cells: list[Cell], tmp_path: Path) -> None:
    tell(tmp_path / "run", [1.5, 0.8, 1.2], [0.1, 0.6, 0.3])
    config = cells[0].config
    for patience, done in ((None, False), (2, False), (1, True)):
        validation = replace(config.validation, patience=patience)
        cell = replace(cells[0], config=replace(config, validation=validation))
        assert result_of(cell, tmp_path / "run").done is done
