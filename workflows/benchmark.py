"""`relume benchmark`: times teacher, source, and source + head at several sizes (Figure 8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from workflows.cli import DONE, parse, run_verb
from workflows.console import Console, counted

if TYPE_CHECKING:
    import torch

    from models.generators.generator import Generator
    from models.heads.head import Head
    from schemas.benchmark import BenchmarkRecord, BenchmarkSettings, Timing
    from schemas.config import DatasetConfig, Preset
    from schemas.sample import Stage
    from tasks.timing.pictures import TimedHead, Work
    from tasks.timing.tables import Costs

RECORD, TIMINGS = "benchmark.json", "timings"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Time every model of a preset and a head on this machine, or continue; then tables, Figure 8.

    One process, one GPU: start it where nothing else runs.
    """

    config: tyro.conf.Positional[Path]
    """preset with [generator], stages source and teacher, and perhaps a section [benchmark]"""
    head: str
    """folder of a head, or its hub id if it was fetched"""
    out: Path
    """folder of the benchmark"""
    data: Path | None = None
    """dataset that the head was trained on: its events tell the GPU-hours that it took"""
    run: Path | None = None
    """training run of the head: its metrics.jsonl tells the GPU-hours that it took"""
    data_gpu_hours: float | None = None
    """GPU-hours of the dataset, for the number of pictures that pay for it; instead of --data"""
    training_gpu_hours: float | None = None
    """GPU-hours of training; instead of --run"""
    json: Annotated[bool, tyro.conf.arg(help="print the result as JSON")] = False


def main(argv: list[str]) -> int:
    """Time pictures."""
    arguments = parse(Arguments, "benchmark", argv)
    for option in ("data_gpu_hours", "training_gpu_hours"):
        value = getattr(arguments, option)
        if value is not None and not 0 <= value < float("inf"):
            raise ValueError(f"--{option.replace('_', '-')} {value:g}: should be 0 or more")
    from models.heads.head import Head
    from schemas.benchmark import benchmark_settings
    from schemas.config import read_preset
    from shards.filesystem import make_folder
    from shards.record_file import agree_on_record
    from tasks.timing.tables import Costs
    from workflows.benchmark_costs import spent

    console = Console()
    costs = spent(
        arguments.data,
        arguments.run,
        Costs(
            data_gpu_hours=arguments.data_gpu_hours,
            training_gpu_hours=arguments.training_gpu_hours,
        ),
        console,
    )
    preset, settings = read_preset(arguments.config), benchmark_settings(arguments.config)
    configs = _configs(preset, settings, arguments.config)
    head = Head.from_pretrained(arguments.head)
    device = _device(configs["source"])
    record = _record(configs, settings, head, device)
    make_folder(arguments.out / TIMINGS)
    told = "was begun otherwise; give the same options, on the same machine, or another --out"
    agree_on_record(arguments.out / RECORD, record, told)
    timings = list(_timings(arguments.out / TIMINGS, configs, settings, head, device, console))
    _tell(arguments, record, timings, costs, console)
    return DONE


def _configs(preset: Preset, settings: BenchmarkSettings, origin: Path) -> dict[str, DatasetConfig]:
    """What makes the pictures of each row that has a model of its own, the source's last."""
    from schemas.config import DatasetConfig, DatasetSettings

    for stage in ("source", "teacher"):
        if stage not in preset.stage:
            raise ValueError(f"{origin}: has no [stage.{stage}], whose pictures are to be timed")

    def config(stage: Stage, steps: int) -> DatasetConfig:
        return DatasetConfig(
            name="benchmark",
            seed=preset.seed,
            fractions=(),
            split=preset.split,
            generator=preset.generator,
            stage={stage: replace(preset.stage[stage], steps=steps)},
            dataset=DatasetSettings(
                prompt="A professional portrait of {name}",
                count=1,
                stages=(stage,),
                size_px=max(settings.sizes_px),
            ),
        )

    told = {"teacher": config("teacher", preset.stage["teacher"].steps)}
    for steps in settings.teacher_also_steps:
        told[f"teacher, {steps} steps"] = config("teacher", steps)
    return told | {"source": config("source", preset.stage["source"].steps)}


def _device(config: DatasetConfig) -> torch.device:
    import torch

    from schemas.generator import DiffusersSettings

    asked = config.generator.device if isinstance(config.generator, DiffusersSettings) else "auto"
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise ValueError("generator.device = 'cuda': no CUDA device is seen here")
    return torch.device("cuda" if there and asked != "cpu" else "cpu")


def _record(
    configs: dict[str, DatasetConfig],
    settings: BenchmarkSettings,
    head: Head,
    device: torch.device,
) -> BenchmarkRecord:
    import torch

    from schemas.benchmark import BenchmarkRecord
    from schemas.generator import ProceduralSettings
    from schemas.settings import as_plain
    from shards.provenance import code_version, library_versions, processor

    generator = configs["source"].generator
    return BenchmarkRecord(
        settings=settings,
        generator=as_plain(generator),
        stages={name: as_plain(next(iter(one.stage.values()))) for name, one in configs.items()},
        head=head.weights_sha256,
        device=torch.cuda.get_device_name() if device.type == "cuda" else processor(),
        procedural=isinstance(generator, ProceduralSettings),
        code=code_version(),
        libraries=library_versions(),
    )


def _timings(
    folder: Path,
    configs: dict[str, DatasetConfig],
    settings: BenchmarkSettings,
    head: Head,
    device: torch.device,
    console: Console,
) -> Iterator[Timing]:
    """Every timing, those that are there and then the others, model after model."""
    from models.generators.build import build_generator
    from tasks.timing.pictures import TimedHead, time_row
    from tasks.timing.stopwatch import Stopwatch

    watch = Stopwatch(device)
    timed_head = TimedHead.of(head, device, settings.precision)
    sizes = settings.sizes_px
    num_rows = len(configs) + 3
    with console.progress("timing", "rows", num_rows * len(sizes)) as advance:
        done = 0
        for name, config in configs.items():
            loaded: Generator | None = None
            for size_px in sizes:
                for what in _rows_of(name):
                    timing = _read(folder, what, size_px)
                    if timing is None:
                        if loaded is None:
                            loaded = build_generator(config)
                            loaded.load()
                        work = _work(what, loaded.resized(size_px), timed_head, size_px, config)
                        watch.forget_peak()
                        timing = time_row(what, size_px, work, watch, settings)
                        _write(folder, timing)
                    done += 1
                    advance(done)
                    yield timing


def _rows_of(name: str) -> tuple[str, ...]:
    """What is timed while a model is loaded: the head's rows with the source's."""
    from schemas.benchmark import HEAD_ON_DEVICE, HEAD_WITH_FILES, ROAD, SOURCE

    return (SOURCE, ROAD, HEAD_ON_DEVICE, HEAD_WITH_FILES) if name == SOURCE else (name,)


def _work(
    what: str, generator: Generator, head: TimedHead, size_px: int, config: DatasetConfig
) -> Work:
    from schemas.benchmark import HEAD_ON_DEVICE, HEAD_WITH_FILES, ROAD
    from tasks.timing import pictures as time_pictures

    if what == HEAD_ON_DEVICE:
        return time_pictures.enhances_on_device(head, size_px)
    if what == HEAD_WITH_FILES:
        return time_pictures.enhances_files(head, size_px)
    if what == ROAD:
        return time_pictures.makes_and_enhances(generator, head)
    return time_pictures.makes(generator, config.dataset.stages[0])


def _place(folder: Path, what: str, size_px: int) -> Path:
    from tasks.figure_style import file_stem

    return folder / f"{file_stem(what)}-{size_px}.json"


def _read(folder: Path, what: str, size_px: int) -> Timing | None:
    from schemas.benchmark import Timing
    from shards.record_file import read_record

    path = _place(folder, what, size_px)
    return read_record(path, Timing) if path.exists() else None


def _write(folder: Path, timing: Timing) -> None:
    from shards.record_file import publish_record

    publish_record(_place(folder, timing.what, timing.size_px), timing)


def _tell(
    arguments: Arguments,
    record: BenchmarkRecord,
    timings: list[Timing],
    costs: Costs,
    console: Console,
) -> None:
    from schemas.settings import as_plain
    from shards.encoding import json_bytes
    from tasks.report_place import FIGURES, REPORT, TEXT, staged_report
    from tasks.text_tables import page, plain_tables
    from tasks.timing.tables import (
        PROCEDURAL,
        benchmark_tables,
        savings,
        write_figure_8,
    )

    tables = benchmark_tables(timings, costs, record.device)
    plain = {
        "title": "What a picture costs",
        "tables": plain_tables(tables),
        "record": as_plain(record),
        "spent": asdict(costs),
        "timings": [as_plain(one) for one in timings],
        "savings": [
            {"size_px": one.size_px, "saved": one.share, "low": one.low, "high": one.high}
            for one in savings(timings)
        ],
    }
    lead = [f"**{PROCEDURAL}**"] if record.procedural else []
    with staged_report(arguments.out) as place:
        write_figure_8(timings, place / FIGURES, procedural=record.procedural)
        (place / REPORT).write_bytes(json_bytes(plain))
        (place / TEXT).write_text(page("What a picture costs", tables, lead), encoding="utf-8")
    if arguments.json:
        console.result(json.dumps(plain, ensure_ascii=False))
        return
    for one in lead:
        console.warn(one.strip("*"))
    for table in tables:
        console.heading(table.title)
        console.table(table.head, table.texts())
        console.note(table.note)
    console.note(f"{counted(len(timings), 'timing')}, tables and Figure 8: {arguments.out}")


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
