"""What `relume reproduce` does, in which order: the `[reproduce]` section of a preset."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from schemas.settings import FILLED, POSITIVE, read_toml, resolve, settings


@settings
class HeadRun:
    """A head to train."""

    name: Annotated[str, FILLED]
    """its folder: OUT/heads/NAME"""
    config: Annotated[str, FILLED] | None = None
    """preset with its [train] section, beside this file; without it this file"""
    title: Annotated[str, FILLED]
    """what pictures and tables call it"""

    @staticmethod
    def _name_is_a_folder(name: str) -> Iterator[str]:
        yield from _folder(name)


@settings
class Variant:
    """A further dataset: one of the preset's with other settings, such as fewer steps."""

    name: Annotated[str, FILLED]
    """its folder: OUT/NAME"""
    dataset: Annotated[str, FILLED]
    """which dataset of the preset it is a variant of"""
    options: tuple[str, ...]
    """what relume plan is told otherwise, such as --stage.source.steps 1"""

    @staticmethod
    def _name_is_a_folder(name: str) -> Iterator[str]:
        yield from _folder(name)


@settings
class ReproduceSettings:
    """The paper as steps: each is a command that could be typed, and can be continued."""

    imdb: Annotated[str, FILLED] | None = None
    """IMDb's name.basics.tsv.gz; without it people are invented, and the report says so"""
    invented_people: Annotated[int, Ge(1000)] = 20_000
    """how many people are invented where there is no file"""
    names: Annotated[int, POSITIVE]
    """names to choose"""
    head: Annotated[tuple[HeadRun, ...], FILLED]
    """heads to train; the first is the one that is timed, and comes first in the figures"""
    variant: tuple[Variant, ...] = ()
    """further datasets, for rows of the evaluation"""
    sweep: Annotated[str, FILLED] | None = None
    """preset with a [sweep], beside this file, for Tables 2 and 3; none without it"""
    prompts: tuple[Annotated[str, FILLED], ...] = ()
    """files of prompts outside the domain, beside this file, on which the heads are judged too"""
    study: bool = True
    """also make a page on which people rate source, target and the first head"""
    pictures: Annotated[int, POSITIVE] = 4
    """test samples that the report shows"""
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """more words for a step's command, by the step's name, such as audit = ["--lpips", "alex"]"""

    @staticmethod
    def _heads_have_names_of_their_own(head: tuple[HeadRun, ...]) -> Iterator[str]:
        names = [one.name for one in head]
        for name in sorted({one for one in names if names.count(one) > 1}):
            yield f"head {name!r}: stands twice; name them apart"


def _folder(name: str) -> Iterator[str]:
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name):
        yield f"name = {name!r}: is a folder's; use letters, digits, - and _"


def read_reproduce(path: Path) -> ReproduceSettings:
    """The [reproduce] section of a preset; a ValueError lists every mistake."""
    tables = read_toml(path).get("reproduce")
    if not isinstance(tables, dict):
        raise ValueError(
            f"{path}: has no [reproduce]; docs/reproduction.md tells what stands in one"
        )
    return resolve(ReproduceSettings, tables, f"{path} [reproduce]")
