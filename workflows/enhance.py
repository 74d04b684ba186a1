"""`relume enhance`: puts pictures, or a dataset's pictures, through a head."""

from __future__ import annotations

import os
from pathlib import Path

from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console
from workflows.enhance_arguments import Arguments, enhance_settings


def main(argv: list[str]) -> int:
    """Enhance pictures."""
    arguments = parse(Arguments, "enhance", argv)
    dataset = _checked(arguments)
    console = Console()
    if arguments.export is not None:
        return _export(arguments.head, arguments.export, console)
    assert arguments.out is not None
    if dataset is not None:
        from workflows.enhance_dataset import enhance_dataset

        whole = enhance_dataset(
            arguments, dataset, arguments.out, enhance_settings(arguments, 1), console
        )
    else:
        from workflows.enhance_files import enhance_files

        settings = enhance_settings(arguments, os.cpu_count() or 1)
        whole = enhance_files(arguments, arguments.out, settings, console)
    return DONE if whole else INCOMPLETE


def _checked(arguments: Arguments) -> Path | None:
    """The dataset that is meant, or None where files are; ValueError where options disagree."""
    from shards.layout import PLAN

    if arguments.export is not None:
        if arguments.input or arguments.out:
            raise ValueError("--export: writes the head alone; leave out INPUT and --out")
        return None
    if not arguments.input or arguments.out is None:
        raise ValueError("relume enhance HEAD INPUT... --out FOLDER: INPUT or --out is missing")
    arguments.check(arguments.out, *map(Path, arguments.input))
    datasets = [one for one in arguments.input if (Path(one) / PLAN).is_file()]
    if datasets and len(arguments.input) > 1:
        raise ValueError(f"{datasets[0]}: is a dataset, which is enhanced by itself; name it alone")
    if not datasets:
        of_datasets = {
            "--split": arguments.split,
            "--selection": arguments.selection,
            "--mend": arguments.mend or None,
            "--retry-failed": arguments.retry_failed or None,
            "--address": arguments.address,
            "--workers": arguments.workers,
            "--deadline": arguments.deadline,
        }
        for option, value in of_datasets.items():
            if value is not None:
                raise ValueError(f"{option}: is for a dataset, and {arguments.input[0]} is none")
        return None
    if arguments.format != "png":
        raise ValueError(f"--format {arguments.format}: a dataset's pictures are png")
    return Path(datasets[0])


def _export(place: str, folder: Path, console: Console) -> int:
    from tasks.enhance.open_head import open_head

    head = open_head(place)
    if folder.resolve() == Path(place).resolve():
        raise ValueError(f"--export {folder}: is the head itself; choose another folder")
    head.save(folder, onnx=True)
    console.heading(f"{folder}: the head with model.onnx and head.py, which need no Relume")
    return DONE


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
