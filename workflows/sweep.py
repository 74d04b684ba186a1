"""`relume sweep`: trains a grid of heads in two phases, and says which one to take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from workflows.cells import submit_cells, train_cells
from workflows.cli import DONE, INCOMPLETE, parse_known, run_verb
from workflows.console import Console, counted

if TYPE_CHECKING:
    from schemas.slurm import SlurmSettings
    from schemas.sweep import Cell, SweepConfig
    from slurm.submit import JobRequest
    from tasks.sweep.results import CellResult
    from workflows.run_training import RunTraining


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train the cells of a grid, small first, then the best few at full size; or continue.

    The same command goes on with what is missing or has failed, and shows the tables so far.
    """

    config: tyro.conf.Positional[Path]
    """file with a [sweep] or a [lora_sweep] section: configs/sweep.toml, configs/lora_sweep.toml"""
    data: Path
    """dataset of sources and targets; for LoRAs, of pictures"""
    out: Path
    """folder of the sweep"""
    captions: Path | None = None
    """for LoRAs: folder that relume caption wrote"""
    launcher: Literal["local", "slurm"] = "local"
    """one cell after the other on this machine, or a job array by [slurm]"""
    processes: int = 1
    """with --launcher local: processes of each cell, one per GPU"""
    weights: Path = Path("weights")
    """folder of published weights, where LPIPS is asked for"""
    stage_to: Path | None = None
    """folder on each node's own disk to copy the used shards to first"""
    show: bool = False
    """only show the tables so far"""
    dry_run: bool = False
    """with --launcher slurm: print the batch script, and submit nothing"""


def main(argv: list[str]) -> int:
    """Train a sweep, or continue it."""
    arguments, words = parse_known(Arguments, "sweep", argv)
    from schemas.lora_sweep import SWEEP_SECTION
    from schemas.overrides import merged, parse_overrides
    from schemas.settings import as_plain, read_toml, resolve
    from schemas.slurm import SlurmSettings
    from schemas.sweep import cells_of, read_sweep
    from tasks.sweep.results import NoFinalist
    from workflows.launch import refuse_relative
    from workflows.lora_sweep import sweep_loras

    if arguments.launcher == "slurm":
        refuse_relative(arguments.stage_to)
    if SWEEP_SECTION in read_toml(arguments.config):
        return sweep_loras(
            arguments.config,
            arguments.data.absolute(),
            arguments.out.absolute(),
            arguments.captions,
            launcher=arguments.launcher,
            processes=arguments.processes,
            stage_to=arguments.stage_to,
            show=arguments.show,
            dry_run=arguments.dry_run,
            slurm_words=[_of_slurm(word) for word in words],
        )
    if arguments.captions is not None:
        raise ValueError("--captions: heads are trained without; name a file with [lora_sweep]")
    sweep, slurm = read_sweep(arguments.config)
    over = parse_overrides(SlurmSettings, [_of_slurm(word) for word in words])
    slurm = resolve(SlurmSettings, merged(as_plain(slurm), over), "[slurm]")
    try:
        return _go_on(arguments, sweep, slurm)
    except NoFinalist:
        # What was trained is shown, and then the error.
        first = cells_of(sweep, "screen", arguments.config)
        _show(Console(), sweep, first, arguments.out.absolute())
        raise


def _go_on(arguments: Arguments, sweep: SweepConfig, slurm: SlurmSettings) -> int:
    console, out = Console(), arguments.out.absolute()
    cells = _cells_now(sweep, arguments.config, out)
    code = DONE
    missing = [cell for cell in cells if not _result(cell, out).done]
    if missing and not arguments.show:
        if arguments.launcher == "slurm":
            request = _request(arguments, sweep, slurm, missing)
            if arguments.dry_run:
                from slurm.submit import sbatch_script

                print(sbatch_script(request))
                return DONE
            submit_cells(console, request, [_work(arguments, cell) for cell in missing])
        else:
            code = _train_here(console, arguments, missing)
            # The second phase follows by itself.
            later = [
                cell
                for cell in _cells_now(sweep, arguments.config, out)
                if not _result(cell, out).done and cell.phase == "final"
            ]
            if code == DONE and later:
                code = _train_here(console, arguments, later)
    return max(code, _show(console, sweep, _cells_now(sweep, arguments.config, out), out))


def _of_slurm(word: str) -> str:
    if word.startswith("--") and not word.startswith("--slurm."):
        raise ValueError(
            f"relume sweep: {word}: unknown option; settings of cells stand in the file, "
            "those of jobs are given as --slurm.partition gpu"
        )
    return word.replace("--slurm.", "--", 1)


def _cells_now(sweep: SweepConfig, config: Path, out: Path) -> list[Cell]:
    """The cells of the first phase; once they are done, those of the second as well."""
    from schemas.sweep import cells_of
    from tasks.sweep.results import finalists

    first = cells_of(sweep, "screen", config)
    results = [_result(cell, out) for cell in first]
    if not all(one.done for one in results):
        return first
    chosen = finalists(results, sweep)
    return [*first, *(one for one in cells_of(sweep, "final", config) if one.place in chosen)]


def _result(cell: Cell, out: Path) -> CellResult:
    from tasks.sweep.results import result_of

    return result_of(cell, out / cell.name)


def _work(arguments: Arguments, cell: Cell) -> RunTraining:
    from workflows.run_head_training import RunHeadTraining

    return RunHeadTraining(
        config=cell.config,
        dataset=arguments.data.absolute(),
        run=arguments.out.absolute() / cell.name,
        selection=None,
        weights=arguments.weights.absolute(),
        stage_to=arguments.stage_to,
    )


def _train_here(console: Console, arguments: Arguments, cells: list[Cell]) -> int:
    works = [_work(arguments, cell) for cell in cells]
    return train_cells(console, works, arguments.out.absolute(), arguments.processes)


def _request(
    arguments: Arguments, sweep: SweepConfig, slurm: SlurmSettings, cells: list[Cell]
) -> JobRequest:
    from slurm.submit import JobRequest

    out = arguments.out.absolute()
    return JobRequest(
        name=f"relume-{out.name}",
        comment=f"relume sweep {out}",
        folder=out,
        runs=tuple(out / cell.name for cell in cells),
        reads=(arguments.data.absolute(),),
        settings=slurm,
        at_once=sweep.at_once if len(cells) > 1 else None,
    )


def _show(console: Console, sweep: SweepConfig, cells: list[Cell], out: Path) -> int:
    from shards.encoding import json_bytes
    from shards.filesystem import plain, replace_file
    from tasks.report_place import REPORT
    from tasks.sweep.tables import draw_sweep, sweep_tables
    from tasks.text_tables import page, plain_tables

    results = [_result(cell, out) for cell in cells]
    tables = sweep_tables(sweep, results)
    for table in tables:
        console.heading(table.title)
        console.table(table.head, table.texts())
        if table.note:
            console.note(table.note)
    out.mkdir(parents=True, exist_ok=True)
    (out / "tables.md").write_text(page("Sweep", tables), "utf-8")
    draw_sweep(results, out)
    told = {"title": "Sweep", "tables": plain_tables(tables)}
    replace_file(out, out / REPORT, plain(json_bytes(told)))
    missing = [one.cell.name for one in results if not one.done]
    final = any(cell.phase == "final" for cell in cells)
    if missing:
        console.note(f"{counted(len(missing), 'cell')} not done, for example {missing[0]}")
    elif not final:
        console.note("the first phase is done; the same command goes on with the finalists")
    console.note(f"also in {out / 'tables.md'} and {out / 'sweep.png'}")
    return INCOMPLETE if missing else DONE


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
