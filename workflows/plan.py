"""`relume plan`: fixes every sample of a dataset, and says what it will cost."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from workflows.cli import DONE, parse_known, run_verb
from workflows.console import Console, counted, significant, size
from workflows.photos import photos_of

if TYPE_CHECKING:
    import pyarrow as pa

    from schemas.config import DatasetConfig
    from tasks.forecast import Forecast


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Fix every sample of a dataset: ids, splits, shards, prompts, seeds.

    Every setting of the preset can be given too, by its path:
    --seed 1 --dataset.count 1000 --stage.target.steps 28

    relume plan CONFIG --dataset NAME --settings lists them all.
    """

    config: tyro.conf.Positional[Path]
    """preset, for example configs/paper.toml"""
    dataset: str
    """which [dataset.NAME] of the preset"""
    out: Path
    """folder of the dataset"""
    names: Path | None = None
    """names.parquet, where the prompt asks for names"""
    prompts: Path | None = None
    """prompts.parquet of relume prompts, where the prompt is {prompt}"""
    pictures: Path | None = None
    """folder of photographs, such as FFHQ's, for a preset whose generator is a folder"""
    checksums: Annotated[bool, tyro.conf.arg(help="with --pictures: also plan their sha256")] = (
        False
    )
    settings: Annotated[bool, tyro.conf.arg(help="list the settings, and plan nothing")] = False
    json: Annotated[bool, tyro.conf.arg(help="print the result as JSON")] = False


@dataclass(frozen=True, kw_only=True)
class SettingsArguments:
    """List every setting of a dataset, with its value and what it means."""

    config: tyro.conf.Positional[Path]
    """preset, for example configs/paper.toml"""
    dataset: str
    """which [dataset.NAME] of the preset"""
    settings: Annotated[bool, tyro.conf.arg(help="list the settings, and plan nothing")] = False


def main(argv: list[str]) -> int:
    """Plan a dataset."""
    if "--settings" in argv:
        listed, overrides = parse_known(SettingsArguments, "plan", argv)
        return _list_settings(_config(listed.config, listed.dataset, overrides))
    arguments, overrides = parse_known(Arguments, "plan", argv)
    config = _config(arguments.config, arguments.dataset, overrides)
    names = _table_of("names", arguments.names, config)
    prompts = _table_of("prompts", arguments.prompts, config)
    photos = photos_of(arguments.pictures, config, Console(), checksums=arguments.checksums)

    from schemas.run import FileIdentity, Run
    from shards import plan as plans
    from shards.encoding import parquet_bytes, read_parquet, sha256
    from shards.filesystem import file_facts
    from shards.provenance import code_version, library_versions
    from shards.run import publish_run
    from tasks.forecast import forecast

    table = None if names is None else read_parquet(names)
    given = None if prompts is None else read_parquet(prompts)

    def identity(path: Path | None, rows: pa.Table | None) -> FileIdentity | None:
        if path is None or rows is None:
            return None
        return FileIdentity(sha256=file_facts(path).sha256, rows=rows.num_rows)

    plan = plans.make_plan(
        config, table, str(names or prompts), photos.ids if photos else None, given
    )
    data = parquet_bytes(plan)
    run = Run(
        config=config,
        plan=FileIdentity(sha256=sha256(data), rows=plan.num_rows),
        names=identity(names, table),
        prompts=identity(prompts, given),
        photos=photos.identity if photos else None,
        folder=photos.folder if photos else None,
        code=code_version(),
        libraries=library_versions(),
    )
    news = publish_run(arguments.out, run, data)
    if photos is not None:
        photos.publish(arguments.out)
    expected = forecast(config, plan.num_rows, len(plans.shard_names(plan)))
    _tell(arguments, config, plan, expected, news=news)
    return DONE


def _config(path: Path, dataset: str, words: list[str]) -> DatasetConfig:
    """The preset with what the command line says otherwise, checked as one."""
    from schemas.config import DatasetConfig, Preset, dataset_config, dataset_tables
    from schemas.overrides import merged, parse_overrides, paths
    from schemas.settings import as_plain, resolve

    tables, overrides = dataset_tables(path), parse_overrides(DatasetConfig, words)
    there = tables.get("dataset", {})
    if overrides and isinstance(there, dict) and dataset in there:
        own = {"dataset": {dataset: overrides["dataset"]}} if "dataset" in overrides else {}
        tables = merged(tables, {**overrides, **own})
    origin = f"{path} with what the command line sets" if overrides else str(path)
    config = dataset_config(resolve(Preset, tables, origin), dataset, str(path))
    used = set(paths(as_plain(config)))
    for unused in set(paths(overrides)) - used:
        raise ValueError(f"--{'.'.join(unused)}: dataset.{dataset} does not use it; leave it out")
    return config


def _list_settings(config: DatasetConfig) -> int:
    from schemas.settings import descriptions

    console = Console()
    for path, (value, sentence) in descriptions(config).items():
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
        console.result(f"--{path} {shown!r}" if shown in (None, "") else f"--{path} {shown}")
        console.result(f"    {sentence}")
    return DONE


def _table_of(
    what: Literal["names", "prompts"], path: Path | None, config: DatasetConfig
) -> Path | None:
    """The table that the dataset's prompt takes its words from, where it takes some."""
    dataset = config.dataset
    wanted = dataset.has_names if what == "names" else dataset.has_prompts
    if wanted and path is None:
        raise ValueError(
            f"dataset.{config.name}.prompt asks for {what}; "
            f"choose some with relume {what}, and give them with --{what}"
        )
    if path is not None and not wanted:
        raise ValueError(
            f"--{what} {path}: the prompt of dataset.{config.name} has no "
            f"{{{what.removesuffix('s')}}}; leave it out"
        )
    if path is not None and not path.is_file():
        raise ValueError(f"--{what} {path}: is no file; make it with relume {what}")
    return path


def _tell(
    arguments: Arguments, config: DatasetConfig, plan: pa.Table, expected: Forecast, *, news: bool
) -> None:
    from schemas.sample import SPLITS
    from shards.plan import fraction_sizes

    console = Console()
    by_split = {row["values"]: row["counts"] for row in plan["split"].value_counts().to_pylist()}
    splits = {split: by_split[split] for split in SPLITS if split in by_split}
    fractions = fraction_sizes(plan, config.fractions) if "train" in splits else {}
    short = _short_of_room(arguments.out, expected)
    for fraction, count in fractions.items():
        if count < fraction * plan.num_rows:
            short.append(f"train has only {count:,} samples, which is less than {fraction:.1%}")
    if arguments.json:
        told = {
            "dataset": str(arguments.out),
            "splits": splits,
            "fractions": {str(fraction): count for fraction, count in fractions.items()},
            "warnings": short,
            **asdict(expected),
        }
        console.result(json.dumps(told))
    else:
        before = "" if news else "; it was planned just so before"
        heading = f"{config.name}: {counted(expected.samples, 'sample')} planned in {arguments.out}"
        console.heading(heading + before)
        facts = {
            "splits": ", ".join(f"{split} {count:,}" for split, count in splits.items()),
            "shards": f"{expected.shards:,} of at most {config.dataset.shard_size} samples",
            "pictures": f"{expected.pictures:,} of {config.dataset.size_px} px, "
            f"{' and '.join(config.dataset.stages)}",
            "disk": f"about {size(expected.bytes)} in {counted(expected.files, 'file')}",
        }
        if fractions:
            parts = (f"{fraction * 100:g} % {count:,}" for fraction, count in fractions.items())
            facts["fractions"] = ", ".join(parts) + " of train"
        console.facts(facts)
        _tell_hours(console, config, expected)
    for warning in short:
        console.warn(warning)
    if not arguments.json:
        console.note(f"next: relume generate {shlex.quote(str(arguments.out))}")


def _tell_hours(console: Console, config: DatasetConfig, expected: Forecast) -> None:
    if config.generator.kind == "folder":
        console.note("no GPU needed: these pictures are read from a folder")
        return
    if config.generator.kind == "procedural":
        console.note("no GPU needed: these pictures are drawn by the procedural painter")
        return
    if not expected.gpu_hours:
        console.note("GPU-hours are not known: the preset gives no tflop for its stages")
        return
    console.result()
    console.table(
        ("GPU", "GPU-hours at best", "realistic"),
        [
            (hours.gpu, significant(hours.optimistic), significant(hours.realistic))
            for hours in expected.gpu_hours
        ],
    )


def _short_of_room(folder: Path, expected: Forecast) -> list[str]:
    from shards.space import room_left

    warnings = []
    for room in room_left(folder):
        if room.bytes is not None and room.bytes < expected.bytes:
            warnings.append(
                f"{room.limit} has {size(room.bytes)} left, "
                f"the dataset needs {size(expected.bytes)}"
            )
        if room.files is not None and room.files < expected.files:
            warnings.append(
                f"{room.limit} has {room.files:,} files left, the dataset needs {expected.files:,}"
            )
    return warnings


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
