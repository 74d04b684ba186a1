"""`relume enhance` on files: draws how far it is, and tells what was changed and what refused."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflows.console import Console, counted, duration

if TYPE_CHECKING:
    from schemas.enhance import Enhanced, EnhanceSettings
    from tasks.enhance.inputs import Item
    from tasks.enhance_files import EnhanceFiles
    from workflows.enhance_arguments import Arguments

RECORD = "enhance.json"
_MOST_CODERS = 16


def enhance_files(
    arguments: Arguments, out: Path, settings: EnhanceSettings, console: Console
) -> bool:
    """Enhance what is outstanding of a part; whether nothing was refused."""
    from schemas.part import parse_part
    from shards import filesystem
    from shards.owner import Owner
    from tasks.enhance.inputs import ENDINGS, find_pictures

    part = parse_part(arguments.part)
    inputs = find_pictures(arguments.input, out, ENDINGS[arguments.format])
    mine = [one for number, one in enumerate(inputs.items) if part.has(number)]
    if inputs.others:
        console.note(f"{counted(inputs.others, 'file')} in the folders left out: no pictures")
    _refuse_foreign(out)
    filesystem.make_folder(out)
    files = _prepare(arguments, out, settings, console)
    with Owner(out, part) as owner:
        for holder in owner.took_over:
            console.note(f"process {holder.pid} on {holder.host} is gone; this one takes over")
        filesystem.remove_old_temporaries(out, 0.0 if part.count == 1 else 3600.0)
        return _run(arguments, out, files, mine, console)


def _prepare(
    arguments: Arguments, out: Path, settings: EnhanceSettings, console: Console
) -> EnhanceFiles:
    """The head, once it is agreed that the folder is its own."""
    from schemas.enhance import EnhanceRecord
    from schemas.part import parse_part
    from shards.provenance import code_version, library_versions
    from shards.record_file import agree_on_record
    from tasks.enhance.journal import PictureJournal
    from tasks.enhance.open_head import enhancer_of, open_head
    from tasks.enhance_files import EnhanceFiles

    head = open_head(arguments.head)
    enhance, _ = enhancer_of(head, settings)
    record = EnhanceRecord(
        head=head.weights_sha256,
        format=arguments.format,
        settings=settings,
        code=code_version(),
        libraries=library_versions(),
    )
    told = "was begun with another head or other settings; choose another --out"
    for difference in agree_on_record(out / RECORD, record, told):
        console.warn(f"begun elsewhere, so the last digits may differ: {difference}")
    journal = PictureJournal(out, parse_part(arguments.part))
    coders = max(2, min(_MOST_CODERS, len(os.sched_getaffinity(0))))
    return EnhanceFiles(enhance, settings, arguments.format, journal, coders)


def _run(
    arguments: Arguments, out: Path, files: EnhanceFiles, items: list[Item], console: Console
) -> bool:
    begun = time.monotonic()
    told: list[Enhanced] = []
    with console.progress("enhancing", "pictures", len(items)) as advance:
        for one in files.run(items):
            told.append(one)
            for note in one.notes:
                console.note(f"{one.picture}: {note}")
            if one.why is not None:
                console.warn(f"{one.picture}: {one.why}")
            advance(len(told))
    seconds = time.monotonic() - begun
    how = Counter(one.how for one in told)
    if arguments.json:
        console.result(json.dumps(_as_json(out, told, seconds), indent=2, ensure_ascii=False))
        return not how["refused"]
    there = how["made"] + how["there"]
    console.heading(f"{out}: {there:,} of {counted(len(told), 'picture')} enhanced")
    if how["made"]:
        rate = how["made"] / seconds
        console.facts({"made now": f"{how['made']:,} in {duration(seconds)}, {rate:,.3g} a second"})
    if how["refused"]:
        console.warn(f"{counted(how['refused'], 'picture')} not enhanced, as said above")
    return not how["refused"]


def _as_json(out: Path, told: list[Enhanced], seconds: float) -> dict[str, Any]:
    done = sorted(told, key=lambda one: one.picture)
    return {
        "out": str(out),
        "made": sum(one.how == "made" for one in done),
        "there": sum(one.how == "there" for one in done),
        "seconds": round(seconds, 3),
        "notes": [{"picture": one.picture, "notes": one.notes} for one in done if one.notes],
        "refused": [{"picture": one.picture, "why": one.why} for one in done if one.why],
    }


def _refuse_foreign(out: Path) -> None:
    """Pictures are not put among somebody's files; a killed run may have left some of ours."""
    from shards import filesystem, layout

    if not out.is_dir() or (out / RECORD).exists():
        return
    ours = {filesystem.STAGING, layout.OWNERS}
    foreign = sorted(path.name for path in out.iterdir() if path.name not in ours)
    if foreign:
        raise ValueError(
            f"--out {out}: holds {foreign[0]} and nothing of relume enhance; choose a new folder"
        )
