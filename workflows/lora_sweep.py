"""`relume sweep` of LoRAs: ranks and learning rates, one phase, one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workflows.cells import submit_cells, train_cells
from workflows.cli import DONE, INCOMPLETE
from workflows.console import Console, counted

if TYPE_CHECKING:
    from schemas.lora_sweep import LoraCell, LoraSweep
    from tasks.sweep.lora_table import LoraResult
    from workflows.run_lora_training import RunLoraTraining


def sweep_loras(
    config: Path,
    dataset: Path,
    out: Path,
    captions: Path | None,
    *,
    launcher: Literal["local", "slurm"],
    processes: int,
    stage_to: Path | None,
    show: bool,
    dry_run: bool,
    slurm_words: Sequence[str],
) -> int:
    """Train what is missing, and show the table."""
    from schemas.lora_sweep import read_lora_sweep
    from schemas.overrides import merged, parse_overrides
    from schemas.settings import as_plain, resolve
    from schemas.slurm import SlurmSettings
    from slurm.submit import JobRequest, sbatch_script

    sweep, slurm, cells = read_lora_sweep(config)
    over = parse_overrides(SlurmSettings, slurm_words)
    slurm = resolve(SlurmSettings, merged(as_plain(slurm), over), "[slurm]")
    captions = None if captions is None else captions.absolute()
    works = {cell.name: _work(cell, dataset, out, captions, stage_to) for cell in cells}
    console, code = Console(), DONE
    missing = [works[one.cell.name] for one in _results(cells, works) if not one.done]
    if missing and not show:
        if launcher == "slurm":
            request = JobRequest(
                name=f"relume-{out.name}",
                comment=f"relume sweep {out}",
                folder=out,
                runs=tuple(work.run for work in missing),
                reads=missing[0].reads,
                settings=slurm,
                at_once=sweep.at_once if len(missing) > 1 else None,
            )
            if dry_run:
                print(sbatch_script(request))
                return DONE
            submit_cells(console, request, missing)
        else:
            code = train_cells(console, missing, out, processes)
    return max(code, _show(console, sweep, _results(cells, works), out))


def _work(
    cell: LoraCell, dataset: Path, out: Path, captions: Path | None, stage_to: Path | None
) -> RunLoraTraining:
    from workflows.lora import placed
    from workflows.run_lora_training import RunLoraTraining

    return RunLoraTraining(
        config=placed(cell.config),
        dataset=dataset,
        run=out / cell.name,
        captions=captions,
        stage_to=stage_to,
    )


def _results(cells: Sequence[LoraCell], works: dict[str, RunLoraTraining]) -> list[LoraResult]:
    from tasks.sweep.lora_table import lora_result
    from tasks.training.ranks import Ranks

    return [
        lora_result(cell, work.run, work.job().legs(Ranks())[-1].epochs.stop)
        for cell in cells
        for work in [works[cell.name]]
    ]


def _show(console: Console, sweep: LoraSweep, results: Sequence[LoraResult], out: Path) -> int:
    from shards.encoding import json_bytes
    from shards.filesystem import plain, replace_file
    from tasks.report_place import REPORT
    from tasks.sweep.lora_table import lora_sweep_table
    from tasks.text_tables import page, plain_tables

    table = lora_sweep_table(sweep, results)
    console.heading(table.title)
    console.table(table.head, table.texts())
    console.note(table.note)
    out.mkdir(parents=True, exist_ok=True)
    (out / "tables.md").write_text(page("Sweep", [table]), "utf-8")
    told = {"title": "Sweep", "tables": plain_tables([table])}
    replace_file(out, out / REPORT, plain(json_bytes(told)))
    missing = [one.cell.name for one in results if not one.done]
    if missing:
        console.note(f"{counted(len(missing), 'cell')} not done, for example {missing[0]}")
    console.note(f"also in {out / 'tables.md'}")
    return INCOMPLETE if missing else DONE
