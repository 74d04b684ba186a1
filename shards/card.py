"""README.md of a dataset: a card for people, which also tells `datasets` where the splits are."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence

from schemas.generator import ProceduralSettings
from schemas.lease import ShardDone
from schemas.photo import FolderSettings
from schemas.run import Run
from schemas.sample import MADE_BY, SPLITS
from shards.datasheet import datasheet, licence_lines

_PROCEDURAL = """\
**These pictures are procedural**: drawn by a program, not by a diffusion model. They test the
instruments that work on such datasets, and say nothing about any model.
"""
_SYNTHETIC = """\
Every picture is synthetic. A name in a prompt is there to vary the face; no picture is a photograph
of that person, and none may be taken for one.
"""
_PHOTOGRAPHS = """\
These pictures are **photographs**, read from a folder. They may show people, who have rights in
them. `photos.parquet` tells which file each sample is. They were turned upright, brought to sRGB,
cut to the square in the middle and resized; `generator.json` says how.
"""
_ENHANCED = """\
These pictures are those of another dataset, put through a head by `relume enhance`. Ids, splits and
prompts are that dataset's; `generator.json` names the head's weights and what they were made from.
"""
_PAIRS = """\
These are pairs of faces, made by `relume facepairs` out of another dataset: *good* is its picture,
byte for byte, *bad* the same with one face painted over by an inpainting model, *mask* is white
where that was. The column `bad_strength` is the noise that was put on the face, 0 to 1. A sample
whose picture has no such face, or none of use, is a failed row that says why. What the good
pictures are, photographs or not, and what may be done with them, is told by that other dataset.
"""


def card_text(
    run: Run,
    shards: Sequence[str],
    done: Mapping[str, ShardDone],
    failures: Mapping[str, int],
) -> str:
    """The card of a dataset as far as it exists; `failures` counts failed samples by reason."""
    # Without this list `datasets` would read the parquet files beside the tars instead of them.
    files = [
        f'      - split: {split}\n        path: "{split}/*.tar"'
        for split in SPLITS
        if any(shard.startswith(f"{split}/") for shard in done)
    ]
    head = ["---", f"pretty_name: {json.dumps(run.config.name)}", *licence_lines(run)]
    if files:
        head += ["configs:", "  - config_name: default", "    data_files:", *files]
    return "\n".join([*head, "---", "", *_body(run, shards, done, failures)])


def _body(
    run: Run,
    shards: Sequence[str],
    done: Mapping[str, ShardDone],
    failures: Mapping[str, int],
) -> list[str]:
    config = run.config
    procedural = isinstance(config.generator, ProceduralSettings)
    photographs = isinstance(config.generator, FolderSettings)
    size = f"{config.dataset.size_px} x {config.dataset.size_px} px"
    made = f"Photographs, {size}." if photographs else f"Portraits made with Relume, {size}."
    lines = [f"# {config.name}", "", made, ""]
    if config.dataset.prompt:
        # A block of code, so that nothing in a prompt is taken for Markdown or HTML.
        lines[2] += " The prompt:"
        lines += ["    " + " ".join(config.dataset.prompt.split()), ""]
    lines.append(_PHOTOGRAPHS if photographs else _PROCEDURAL if procedural else _SYNTHETIC)
    if len(done) < len(shards):
        lines += [
            f"**Incomplete**: {len(done):,} of {len(shards):,} shards exist. "
            f"{_goes_on(run)} goes on.",
            "",
        ]
    lines += ["| split | shards | samples | failed | bytes |", "|---|---:|---:|---:|---:|"]
    for split in SPLITS:
        planned = [shard for shard in shards if shard.startswith(f"{split}/")]
        if planned:
            facts = [done[shard] for shard in planned if shard in done]
            ok, failed = sum(f.ok for f in facts), sum(f.failed for f in facts)
            num_bytes = sum(f.tar_bytes for f in facts)
            lines.append(
                f"| {split} | {len(facts):,} of {len(planned):,} | {ok:,} | {failed:,} "
                f"| {num_bytes:,} |"
            )
    lines += ["", "| stage | model | revision | steps | guidance | strength |"]
    lines += ["|---|---|---|---:|---:|---:|"]
    for name in config.dataset.stages:
        stage = config.stage[name]
        strength = "" if stage.strength is None else stage.strength
        lines.append(
            f"| {name} | {_cell(stage.model)} | {_cell(stage.revision)} | {stage.steps} "
            f"| {stage.guidance} "
            f"| {strength} |"
        )
    if "enhanced" in config.dataset.stages:
        lines += ["", _ENHANCED]
    if "bad" in config.dataset.stages:
        lines += ["", _PAIRS]
    num_made = sum(facts.ok for facts in done.values())
    cleaned = {_cell(why): count for why, count in failures.items()}
    return [*lines, *datasheet(run, num_made, cleaned), _HOW_TO_READ]


def _goes_on(run: Run) -> str:
    for stage in run.config.dataset.stages:
        if stage in MADE_BY:
            return f"The same `{MADE_BY[stage]}` as before"
    return "`relume generate` on this folder"


def _cell(text: str) -> str:
    return html.escape(text).replace("|", "\\|")


_HOW_TO_READ = """
## Reading it

A sample is `{id}.source.png`, `{id}.target.png` and `{id}.json` in the tar of its shard, as far as
its dataset has these stages (a head's have `{id}.enhanced.png`, photographs `{id}.photo.png`, face
pairs `{id}.good.png`, `{id}.bad.png` and `{id}.mask.png`). A row of `manifest.parquet` tells where
in the tar the bytes of each picture lie; `index.json` is a wids index. Training never opens the
split test.

```python
from datasets import load_dataset

pictures = load_dataset("path/to/this/folder", split="train", streaming=True)
```
"""
