"""`relume caption`: says in words what pictures show, and lets people review it."""

from __future__ import annotations

from workflows.caption_arguments import Arguments
from workflows.cli import DONE, INCOMPLETE, parse, run_verb
from workflows.console import Console


def main(argv: list[str]) -> int:
    """Caption pictures."""
    arguments = parse(Arguments, "caption", argv)
    arguments.check(arguments.input, arguments.out, arguments.sidecars, arguments.page)
    _check(arguments)
    from workflows.caption_run import begun_record, caption, record_of

    console = Console()
    record = begun_record(arguments) if arguments.report_only else record_of(arguments, console)
    whole = caption(arguments, record, console)
    return DONE if whole else INCOMPLETE


def _check(arguments: Arguments) -> None:
    from shards.layout import PLAN

    out, pictures = arguments.out.resolve(), arguments.input.resolve()
    if not arguments.input.is_dir():
        raise ValueError(f"{arguments.input}: is no folder of a dataset or of pictures")
    if out.is_relative_to(pictures) or pictures.is_relative_to(out):
        raise ValueError(
            f"--out {arguments.out}: lies in {arguments.input}, or around it; choose a place beside"
        )
    if arguments.question is not None and "<image>" in arguments.question:
        raise ValueError("--question: the picture is put before it; leave <image> out")
    if arguments.batch_size is not None and arguments.batch_size < 1:
        raise ValueError(f"--batch-size {arguments.batch_size}: should be at least 1")
    if arguments.sidecars is not None and (arguments.sidecars / PLAN).is_file():
        raise ValueError(
            f"--sidecars {arguments.sidecars}: is a dataset, which holds what it published alone; "
            "choose another folder"
        )
    if arguments.page is not None and arguments.page.resolve() == out:
        raise ValueError(f"--page {arguments.page}: holds the captions; choose another folder")


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
