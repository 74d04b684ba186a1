"""`relume facescore score`: a score for every face in pictures, or in a dataset's pictures."""

from __future__ import annotations

from pathlib import Path

from workflows.cli import DONE, INCOMPLETE, parse
from workflows.console import Console
from workflows.score_face_arguments import Arguments, score_settings


def main(argv: list[str]) -> int:
    """Score pictures."""
    from shards.layout import PLAN

    arguments = parse(Arguments, "facescore score", argv)
    arguments.check(arguments.out, *map(Path, arguments.input))
    if not arguments.input:
        raise ValueError("INPUT: none given; name pictures, folders or one dataset")
    datasets = [one for one in arguments.input if (Path(one) / PLAN).is_file()]
    if datasets and len(arguments.input) > 1:
        raise ValueError(f"{datasets[0]}: is a dataset, which is scored by itself; name it alone")
    console, settings = Console(), score_settings(arguments)
    if datasets:
        from workflows.score_face_dataset import score_dataset

        whole = score_dataset(arguments, Path(datasets[0]), settings, console)
    else:
        from workflows.score_face_files import score_files

        whole = score_files(arguments, settings, console)
    return DONE if whole else INCOMPLETE
