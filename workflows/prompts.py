"""`relume prompts`: chooses prompts out of COCO's captions or MJHQ-30K, for relume plan."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from workflows.cli import DONE, parse, run_verb
from workflows.console import Console, counted


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Choose prompts, a seeded draw: a smaller count is the beginning of a larger one.

    Of COCO one caption of each picture that has a caption with a word for a person; of MJHQ-30K as
    many of each category.
    """

    file: tyro.conf.Positional[Path]
    """COCO's captions_val2017.json, or MJHQ-30K's meta_data.json"""
    kind: Literal["coco", "mjhq"]
    """which of the two it is"""
    count: int
    """how many prompts"""
    out: Path
    """the prompts.parquet to write; an existing one is never replaced"""
    seed: int = 0
    """another seed, another draw"""


def main(argv: list[str]) -> int:
    """Choose the prompts and write them."""
    arguments: Arguments = parse(Arguments, "prompts", argv)
    if arguments.count < 1:
        raise ValueError(f"--count {arguments.count}: should be at least 1")
    if arguments.out.exists():
        raise ValueError(f"--out {arguments.out}: is there already; choose another file")
    from schemas.prompt import PROMPT_SCHEMA
    from schemas.records import to_table
    from shards import filesystem
    from shards.encoding import parquet_bytes
    from tasks.prompt_files import chosen, coco_prompts, mjhq_prompts

    read = coco_prompts if arguments.kind == "coco" else mjhq_prompts
    found = read(arguments.file, arguments.seed)
    taken = chosen(found, arguments.count, arguments.file)
    filesystem.make_folder(arguments.out.parent)
    data = parquet_bytes(to_table(taken, PROMPT_SCHEMA))
    filesystem.publish_bytes(arguments.out.parent, arguments.out, data)
    console = Console()
    of = Counter(one.category for one in taken)
    told = ", ".join(f"{category} {number:,}" for category, number in sorted(of.items()))
    console.heading(f"{arguments.out}: {len(taken):,} of {counted(len(found), 'prompt')}: {told}")
    return DONE


if __name__ == "__main__":
    raise SystemExit(run_verb(main))
