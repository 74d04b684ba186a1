"""Kinds of names, by what names.parquet knows of a person: decade of birth and first profession."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pyarrow as pa

from schemas.name import NAME_SCHEMA
from schemas.records import check_record

KindBy = Literal["birth decade", "profession", "birth decade and profession"]


def name_kinds(names: pa.Table, by: KindBy) -> dict[str, str]:
    """The kind of each name's nconst."""
    check_record(names.schema, NAME_SCHEMA, "names")
    people = zip(
        names.column("nconst").to_pylist(),
        names.column("birth_year").to_pylist(),
        names.column("professions").to_pylist(),
        strict=True,
    )
    return {nconst: _kind(born, professions, by) for nconst, born, professions in people}


def kinds_of_samples(nconsts: Mapping[str, str | None], kinds: Mapping[str, str]) -> dict[str, str]:
    """The kind of each sample's name, where it has one that is known."""
    return {
        sample: kinds[nconst]
        for sample, nconst in nconsts.items()
        if nconst is not None and nconst in kinds
    }


def _kind(born: int | None, professions: list[str], by: KindBy) -> str:
    decade = "birth unknown" if born is None else f"born {born // 10 * 10}s"
    profession = professions[0] if professions else "no profession"
    match by:
        case "birth decade":
            return decade
        case "profession":
            return profession
    return f"{decade}, {profession}"
